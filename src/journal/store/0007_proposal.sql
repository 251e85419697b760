-- The record of the audit log with the last step of a kept set: what was begun before it does not
-- carry it out.
ALTER TABLE kept_set ADD COLUMN moved_seq INTEGER;
-- Skills that agents propose, each waiting for a person. Each step is a record of the audit log as
-- well; this is where they stand.
CREATE TABLE proposal (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    agent TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_upn TEXT NOT NULL,
    -- The folder that it is for.
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    tests TEXT,
    -- What the agent says it is for.
    purpose TEXT NOT NULL,
    -- What checking and testing it came to, as a list of lines.
    remarks TEXT NOT NULL CHECK (json_valid(remarks)),
    -- Of the texts that would be written, and of those that they would replace.
    digest TEXT NOT NULL CHECK (digest LIKE 'sha256:%'),
    state TEXT NOT NULL CHECK (state IN (
        'pending', 'approved', 'rejected', 'expired', 'applied'
    )),
    -- Who decided, and what they said.
    decided_by TEXT,
    reason TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX proposal_of ON proposal (agent, state);
