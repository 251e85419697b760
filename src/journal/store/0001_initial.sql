-- Every row but those of `change` stands for one record of the audit log and has its number.
-- Nothing is ever changed or deleted: what is the case is what was added last.

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    -- Canonical JSON.
    record TEXT NOT NULL
) STRICT;

CREATE TABLE run (
    seq INTEGER PRIMARY KEY REFERENCES audit (seq),
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 36),
    at TEXT NOT NULL,
    service TEXT NOT NULL,
    actor_id TEXT NOT NULL CHECK (actor_id <> ''),
    actor_upn TEXT NOT NULL,
    agent TEXT,
    purpose TEXT NOT NULL CHECK (purpose IN ('run', 'apply', 'resume', 'undo')),
    -- Not a reference: a saved set may come from another machine.
    parent TEXT,
    -- The digest of the saved set that the run takes up.
    takes_up TEXT,
    skill TEXT NOT NULL,
    skill_digest TEXT,
    params TEXT NOT NULL CHECK (json_valid(params)),
    -- Name -> digest.
    policies TEXT NOT NULL CHECK (json_valid(policies))
) STRICT;
CREATE INDEX run_takes_up ON run (takes_up) WHERE takes_up IS NOT NULL;

-- One judged change set of a run: a segment, or what a replay wants instead.
CREATE TABLE round (
    seq INTEGER PRIMARY KEY REFERENCES audit (seq),
    run_id TEXT NOT NULL REFERENCES run (id),
    round INTEGER NOT NULL CHECK (round > 0),
    at TEXT NOT NULL,
    outcome TEXT NOT NULL
        CHECK (outcome IN ('cleared', 'denied', 'held', 'previewed', 'no_changes', 'failed')),
    digest TEXT NOT NULL CHECK (digest LIKE 'sha256:%'),
    change_set TEXT NOT NULL CHECK (json_valid(change_set)),
    rulings TEXT NOT NULL CHECK (json_valid(rulings)),
    UNIQUE (run_id, round)
) STRICT;
CREATE INDEX round_digest ON round (digest);

-- What the changes of a round are about, so that a record can say it without the whole set.
CREATE TABLE change (
    run_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    summary TEXT NOT NULL CHECK (json_valid(summary)),
    PRIMARY KEY (run_id, round, n),
    FOREIGN KEY (run_id, round) REFERENCES round (run_id, round)
) STRICT, WITHOUT ROWID;

CREATE TABLE intent (
    seq INTEGER PRIMARY KEY REFERENCES audit (seq),
    run_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    n INTEGER NOT NULL,
    step TEXT NOT NULL CHECK (step <> ''),
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    at TEXT NOT NULL,
    method TEXT NOT NULL CHECK (method IN ('POST', 'PATCH', 'DELETE')),
    path TEXT NOT NULL CHECK (path LIKE '/%'),
    if_match TEXT,
    body TEXT CHECK (body IS NULL OR json_valid(body)),
    request_id TEXT NOT NULL,
    UNIQUE (run_id, round, n, step, attempt),
    FOREIGN KEY (run_id, round, n) REFERENCES change (run_id, round, n),
    -- Nothing is updated or deleted without the tag that it was decided on (rule R3).
    CHECK (method = 'POST' OR (if_match IS NOT NULL AND if_match NOT IN ('', '*')))
) STRICT;

CREATE TABLE outcome (
    seq INTEGER PRIMARY KEY REFERENCES audit (seq),
    intent_seq INTEGER NOT NULL REFERENCES intent (seq),
    at TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('applied', 'refused', 'conflict', 'unknown')),
    status INTEGER CHECK (status BETWEEN 100 AND 999),
    entity_id TEXT,
    etag TEXT,
    service_request_id TEXT,
    message TEXT
) STRICT;
CREATE INDEX outcome_intent ON outcome (intent_seq);
CREATE INDEX outcome_entity ON outcome (entity_id) WHERE entity_id IS NOT NULL;

CREATE TABLE finish (
    seq INTEGER PRIMARY KEY REFERENCES audit (seq),
    run_id TEXT NOT NULL UNIQUE REFERENCES run (id),
    at TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN (
        'applied', 'previewed', 'no_changes', 'denied', 'held', 'conflict', 'partial', 'failed'
    )),
    report TEXT NOT NULL CHECK (json_valid(report))
) STRICT;

CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'records are only added at the end'); END;

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'records are never changed'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;
CREATE TRIGGER run_no_update BEFORE UPDATE ON run
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER run_no_delete BEFORE DELETE ON run
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER round_no_update BEFORE UPDATE ON round
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER round_no_delete BEFORE DELETE ON round
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER change_no_update BEFORE UPDATE ON change
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER change_no_delete BEFORE DELETE ON change
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER intent_no_update BEFORE UPDATE ON intent
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER intent_no_delete BEFORE DELETE ON intent
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER outcome_no_update BEFORE UPDATE ON outcome
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER outcome_no_delete BEFORE DELETE ON outcome
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER finish_no_update BEFORE UPDATE ON finish
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER finish_no_delete BEFORE DELETE ON finish
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
