-- What processes share beside the queue, the sets that wait and the pauses.

-- Something that is done once, such as a time of a schedule. A row is added once and not changed.
CREATE TABLE claim (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    owner TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A lock that ends by itself. Its row stays, so that the number of its holders only grows.
CREATE TABLE lease (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    fence INTEGER NOT NULL CHECK (fence > 0),
    owner TEXT NOT NULL,
    -- Absent once its holder has given it back.
    until TEXT
) STRICT, WITHOUT ROWID;

-- A value, with the number of times that it was written. The row of one that was removed stays, so
-- that its number never comes again.
CREATE TABLE shared_value (
    key TEXT PRIMARY KEY CHECK (key <> ''),
    value TEXT CHECK (value IS NULL OR json_valid(value)),
    revision INTEGER NOT NULL CHECK (revision > 0)
) STRICT, WITHOUT ROWID;

-- Counters by which others notice that something has changed.
CREATE TABLE changed (
    topic TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO changed (topic, n)
    VALUES ('queue', 0), ('pending', 0), ('pauses', 0), ('values', 0), ('runs', 0);

CREATE TRIGGER inbox_added AFTER INSERT ON inbox
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'queue'; END;
CREATE TRIGGER inbox_moved AFTER UPDATE OF state ON inbox
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'queue'; END;
CREATE TRIGGER kept_set_added AFTER INSERT ON kept_set
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'pending'; END;
CREATE TRIGGER kept_set_moved AFTER UPDATE ON kept_set
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'pending'; END;
CREATE TRIGGER paused_added AFTER INSERT ON paused
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'pauses'; END;
CREATE TRIGGER paused_removed AFTER DELETE ON paused
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'pauses'; END;
CREATE TRIGGER shared_value_added AFTER INSERT ON shared_value
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'values'; END;
CREATE TRIGGER shared_value_written AFTER UPDATE ON shared_value
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'values'; END;
CREATE TRIGGER run_begun AFTER INSERT ON run
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'runs'; END;
CREATE TRIGGER run_ended AFTER INSERT ON finish
    BEGIN UPDATE changed SET n = n + 1 WHERE topic = 'runs'; END;
