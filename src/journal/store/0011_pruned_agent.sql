-- Of an entity that a pruned run has created, policies ask for which agent it was.
CREATE TABLE pruned_entity_of (
    id TEXT NOT NULL,
    -- Empty where it was pruned before this was kept.
    service TEXT NOT NULL,
    agent TEXT,
    PRIMARY KEY (id, service)
) STRICT, WITHOUT ROWID;
INSERT INTO pruned_entity_of (id, service) SELECT id, '' FROM pruned_entity;
DROP TABLE pruned_entity;
ALTER TABLE pruned_entity_of RENAME TO pruned_entity;

-- Whether the details of a task were ever written.
CREATE INDEX intent_details ON intent (path) WHERE step = 'details';

CREATE TRIGGER pruned_entity_no_update BEFORE UPDATE ON pruned_entity
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER pruned_entity_no_delete BEFORE DELETE ON pruned_entity
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
