-- Threads have properties, and what waits is an index of its own: nothing that rests needs to be folded at a start.

ALTER TABLE threads ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE threads ADD COLUMN policy TEXT NOT NULL DEFAULT '';
ALTER TABLE threads ADD COLUMN archived_at INTEGER;

-- Interactions from before this column are folded once more, which finds out whether they rest.
ALTER TABLE interactions ADD COLUMN resting INTEGER NOT NULL DEFAULT 0;
CREATE INDEX interactions_awake ON interactions (created_at) WHERE final = 0 AND resting = 0;

-- Steps that wait for an answer, an event or a moment; a projection of step.waiting and what ends it.
CREATE TABLE waits (
    interaction INTEGER NOT NULL,
    step_id TEXT NOT NULL,
    thread INTEGER NOT NULL,
    kind TEXT NOT NULL,
    event_kind TEXT,
    correlation TEXT,
    asked_at INTEGER NOT NULL,
    due_at INTEGER,
    action TEXT NOT NULL,
    question TEXT NOT NULL,
    PRIMARY KEY (interaction, step_id)
) STRICT, WITHOUT ROWID;

-- External events that no step has taken, by the seq of their event; `until` is when they are given up.
CREATE TABLE mailbox (
    seq INTEGER PRIMARY KEY,
    thread INTEGER,
    kind TEXT NOT NULL,
    correlation TEXT,
    until INTEGER NOT NULL
) STRICT;
