-- The agents that are paused. Each pause and each end of one is a record of the audit log as well;
-- this is what is in force.
CREATE TABLE paused (
    -- `*` stands for all agents.
    agent TEXT PRIMARY KEY CHECK (agent <> ''),
    at TEXT NOT NULL,
    reason TEXT
) STRICT, WITHOUT ROWID;
