-- Runs that were asked for and accepted wait in the same table as what was submitted, in a queue of
-- their own, so that none is lost between the answer and its beginning. The id of such an entry is
-- that of the run that was promised.
ALTER TABLE inbox ADD COLUMN queue TEXT NOT NULL DEFAULT 'inbox' CHECK (queue IN ('inbox', 'runs'));
-- The text of a script; absent if a skill is to run.
ALTER TABLE inbox ADD COLUMN script TEXT;
ALTER TABLE inbox ADD COLUMN dry_run INTEGER NOT NULL DEFAULT 0 CHECK (dry_run IN (0, 1));
DROP INDEX inbox_open;
CREATE INDEX inbox_open ON inbox (queue, service, created_at, id) WHERE state IN ('queued', 'running');
