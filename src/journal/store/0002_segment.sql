-- Whether the program goes on after what it commits (commit(), design.md 2.2): a run that was
-- cut off there is not done when its rounds are.
ALTER TABLE round ADD COLUMN goes_on INTEGER NOT NULL DEFAULT 0 CHECK (goes_on IN (0, 1));
