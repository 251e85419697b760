-- What happened to objects, for delta queries: 'created', 'deleted', or the names of the changed
-- properties as a JSON array. group_id is the container of the plan, which may be gone.
CREATE TABLE object_change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    group_id TEXT,
    what TEXT NOT NULL
) STRICT;
