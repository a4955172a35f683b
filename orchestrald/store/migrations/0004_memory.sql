-- What outlives an interaction, and what was said. All three tables are projections of events.

-- The working set. `owner` is the number of an interaction's or a thread's name; 0 for the scope that is everybody's.
CREATE TABLE working_set (
    scope TEXT NOT NULL,
    owner INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    made_by TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (scope, owner, key)
) STRICT, WITHOUT ROWID;

-- One row for each time that content was stored, by the seq of its event. The content's file goes with the last of them.
CREATE TABLE artifacts (
    seq INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    type TEXT NOT NULL,
    media_type TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    thread INTEGER,
    interaction INTEGER,
    step_id TEXT NOT NULL,
    made_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    until INTEGER
) STRICT;

CREATE INDEX artifacts_of_digest ON artifacts (digest);
CREATE INDEX artifacts_of_type ON artifacts (type);
CREATE INDEX artifacts_of_thread ON artifacts (thread);
CREATE INDEX artifacts_due ON artifacts (until) WHERE until IS NOT NULL;

-- Outputs of earlier versions that were too large for an event. They were kept for ever, and still are.
INSERT INTO artifacts
    (seq, digest, type, media_type, name, size, metadata, thread, interaction, step_id, made_by, created_at, until)
SELECT seq, json_extract(data, '$.stored.digest'), 'document', 'application/json', step_id || '.json',
    json_extract(data, '$.stored.size'), '{}', thread, interaction, step_id, '', at, NULL
FROM events
WHERE type = 'step.succeeded' AND json_extract(data, '$.stored.digest') IS NOT NULL;

-- Files that are older than this may be named by an event alone: nobody removes them for having no row.
INSERT INTO meta (key, value) VALUES ('references_since_us', strftime('%s', 'now') || '000000');

-- What was said in a thread: a window of it is read without looking at what was traced in between.
CREATE TABLE messages (
    thread INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO messages (thread, seq)
SELECT thread, seq FROM events
WHERE type IN ('interaction.submitted', 'assistant.output', 'external.event') AND thread IS NOT NULL;
