-- Users, groups and who is in them.
CREATE TABLE directory_user (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    upn TEXT NOT NULL COLLATE NOCASE UNIQUE,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE directory_group (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE group_member (
    group_id TEXT NOT NULL REFERENCES directory_group (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES directory_user (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_member_by_user ON group_member (user_id);

-- Every versioned object of Planner, as it is answered. The columns beside the document repeat
-- what lookups and limits need: group_id of plans; bucket_id, creator_id and active of tasks.
-- A sub-object has the id of its plan or task.
CREATE TABLE object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    group_id TEXT REFERENCES directory_group (id),
    bucket_id TEXT,
    creator_id TEXT,
    active INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL,
    doc TEXT NOT NULL,
    changes TEXT NOT NULL,
    UNIQUE (id, kind)
) STRICT;

CREATE INDEX object_by_plan ON object (plan_id, kind, seq);
CREATE INDEX object_by_bucket ON object (bucket_id, seq) WHERE bucket_id IS NOT NULL;
CREATE INDEX object_by_group ON object (group_id, seq) WHERE group_id IS NOT NULL;
CREATE INDEX object_by_creator ON object (creator_id) WHERE creator_id IS NOT NULL;
CREATE INDEX object_active ON object (plan_id) WHERE active = 1;

-- Which users an object belongs to: a task to its assignees, a plan to those it is shared with.
CREATE TABLE object_user (
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES object (seq) ON DELETE CASCADE,
    PRIMARY KEY (user_id, kind, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX object_user_by_object ON object_user (seq);
