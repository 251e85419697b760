-- The sets that wait: held ones for a person, previewed ones to be applied as they were shown.
-- Each decision is a record of the audit log as well; this is where they stand.
CREATE TABLE kept_set (
    run_id TEXT PRIMARY KEY REFERENCES run (id),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    -- Absent for a preview.
    expires_at TEXT,
    -- Of what it writes, as a person sees it.
    digest TEXT NOT NULL CHECK (digest LIKE 'sha256:%'),
    changes INTEGER NOT NULL,
    -- The set with what it rests on.
    saved TEXT NOT NULL CHECK (json_valid(saved)),
    state TEXT NOT NULL CHECK (state IN (
        'previewed', 'pending', 'approved', 'rejected', 'expired', 'applied', 'failed'
    )),
    -- Who decided, and what they said.
    decided_by TEXT,
    reason TEXT,
    -- The run that applied it.
    applied_by TEXT
) STRICT, WITHOUT ROWID;
