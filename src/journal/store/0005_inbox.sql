-- What was submitted, for an agent or for whoever submitted it. Each step of an entry is a record of
-- the audit log as well; this is where it stands.
CREATE TABLE inbox (
    id TEXT PRIMARY KEY CHECK (length(id) = 36),
    -- The service that it is for, as runs name it.
    service TEXT NOT NULL,
    -- Chosen by the sender: what has been submitted under it is not submitted again.
    key TEXT CHECK (key <> ''),
    skill TEXT NOT NULL CHECK (skill <> ''),
    params TEXT NOT NULL CHECK (json_valid(params)),
    -- The sign-in name of the sender, and the agent that it was, if it was one.
    from_upn TEXT NOT NULL,
    from_agent TEXT,
    -- The receiving agent; absent if the sender is a person who means themselves.
    to_agent TEXT,
    state TEXT NOT NULL CHECK (state IN (
        'queued', 'running', 'done', 'failed', 'dead', 'cancelled'
    )),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- The worker that has it, and until when, unless it says that it is still at work.
    leased_by TEXT,
    lease_until TEXT,
    -- It is not tried again before.
    not_before TEXT,
    -- The run that was begun for it last, noted before it begins.
    run_id TEXT CHECK (run_id IS NULL OR length(run_id) = 36),
    -- How that run ended, and the code of its error.
    outcome TEXT,
    code TEXT,
    reason TEXT,
    created_at TEXT NOT NULL,
    ended_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_open ON inbox (state) WHERE state IN ('queued', 'running');
-- An agent is one sender, whoever is signed in; a person is another.
CREATE UNIQUE INDEX inbox_key
    ON inbox (service, coalesce(from_agent, ''), iif(from_agent IS NULL, from_upn, ''), key)
    WHERE key IS NOT NULL;
