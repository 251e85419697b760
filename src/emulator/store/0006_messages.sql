-- The chat of tasks. Messages have no tags, and go with their task.
CREATE TABLE task_message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task_seq INTEGER NOT NULL REFERENCES object (seq) ON DELETE CASCADE,
    author TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE INDEX task_message_by_task ON task_message (task_seq, seq);
