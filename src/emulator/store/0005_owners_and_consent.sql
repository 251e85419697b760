-- Who may change or delete a group. In older files it is the member who joined the tenant first.
CREATE TABLE group_owner (
    group_id TEXT NOT NULL REFERENCES directory_group (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES directory_user (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;

INSERT INTO group_owner (group_id, user_id)
SELECT g.id, (
    SELECT m.user_id FROM group_member m JOIN directory_user u ON u.id = m.user_id
    WHERE m.group_id = g.id ORDER BY u.seq LIMIT 1
) FROM directory_group g
WHERE g.roster = 0 AND EXISTS (SELECT 1 FROM group_member m WHERE m.group_id = g.id);

-- The scopes that a user has consented to for a client, with spaces between them.
CREATE TABLE sign_in_consent (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    client TEXT NOT NULL,
    user_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    UNIQUE (client, user_id)
) STRICT;
