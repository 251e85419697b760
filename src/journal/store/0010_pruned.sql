-- What old runs have left can be deleted, and nothing else: a run is named here first, in the same
-- transaction, with the record of the audit log that names it as well. The log itself is never
-- shortened.
CREATE TABLE pruned (
    run_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL REFERENCES audit (seq)
) STRICT, WITHOUT ROWID;
-- The entities that those runs have created: no lost create may take one for its own.
CREATE TABLE pruned_entity (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TRIGGER pruned_no_update BEFORE UPDATE ON pruned
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER pruned_no_delete BEFORE DELETE ON pruned
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER pruned_entity_no_update BEFORE UPDATE ON pruned_entity
BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER pruned_entity_no_delete BEFORE DELETE ON pruned_entity
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;

DROP TRIGGER run_no_delete;
DROP TRIGGER round_no_delete;
DROP TRIGGER change_no_delete;
DROP TRIGGER intent_no_delete;
DROP TRIGGER outcome_no_delete;
DROP TRIGGER finish_no_delete;
CREATE TRIGGER run_no_delete BEFORE DELETE ON run
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE run_id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER round_no_delete BEFORE DELETE ON round
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE run_id = OLD.run_id)
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER change_no_delete BEFORE DELETE ON change
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE run_id = OLD.run_id)
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER intent_no_delete BEFORE DELETE ON intent
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE run_id = OLD.run_id)
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER outcome_no_delete BEFORE DELETE ON outcome
WHEN NOT EXISTS (SELECT 1 FROM pruned JOIN intent USING (run_id) WHERE intent.seq = OLD.intent_seq)
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
CREATE TRIGGER finish_no_delete BEFORE DELETE ON finish
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE run_id = OLD.run_id)
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
