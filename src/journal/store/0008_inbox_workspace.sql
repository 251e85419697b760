-- The folder of the workspace whose skill an entry names; empty for the shipped skills alone. Absent in
-- entries of before, which any workspace may carry out.
ALTER TABLE inbox ADD COLUMN workspace TEXT;
DROP INDEX inbox_key;
-- An agent is one sender, whoever is signed in; a person is another.
CREATE UNIQUE INDEX inbox_key
    ON inbox (
        service, coalesce(workspace, ''), coalesce(from_agent, ''),
        iif(from_agent IS NULL, from_upn, ''), key
    )
    WHERE key IS NOT NULL;
-- What a sender has submitted lately.
CREATE INDEX inbox_sender ON inbox (from_agent, created_at);
