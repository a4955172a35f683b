-- What starts interactions by itself. `next_at` is the first moment that was not dealt with yet; empty when there is none,
-- as for a folder, a paused schedule and one that is over. JSON in `trigger_said`, `plan`, `labels` and `last`.
CREATE TABLE schedules (
    schedule_id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    trigger_said TEXT NOT NULL,
    misfire TEXT NOT NULL,
    intent TEXT NOT NULL,
    plan TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    labels TEXT NOT NULL,
    made_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    next_at INTEGER,
    fired INTEGER NOT NULL,
    last TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The version of each file in a watched folder that has had its firing, or was there before. No more rows than files.
CREATE TABLE schedule_files (
    schedule_id TEXT NOT NULL,
    path TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (schedule_id, path)
) STRICT, WITHOUT ROWID;
