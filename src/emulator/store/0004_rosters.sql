-- A roster is a list of people that contains one plan: to access, it is a group that the directory
-- does not show.
ALTER TABLE directory_group ADD COLUMN roster INTEGER NOT NULL DEFAULT 0;
