-- One row per fact, kept small: the long ids are stored once, in `names`, and everything else refers to their numbers.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A client that finds another epoch than the one it remembers is looking at another store: its cursors mean nothing here.
INSERT INTO meta (key, value) VALUES ('db_epoch', lower(hex(randomblob(8))));

CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- `seq` is the rowid, so that reading in order of commit needs no index. `thread` and `interaction` are numbers of names;
-- declaring them as foreign keys would cost a fifth of every insert to check what the one writer has just looked up.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    thread INTEGER,
    interaction INTEGER,
    step_id TEXT NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    v INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;

-- Every index entry ends in the rowid: this is (interaction, seq).
CREATE INDEX events_of_interaction ON events (interaction) WHERE interaction IS NOT NULL;

CREATE TABLE threads (
    id INTEGER PRIMARY KEY REFERENCES names (id),
    title TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX threads_newest ON threads (created_at);

CREATE TABLE interactions (
    id INTEGER PRIMARY KEY REFERENCES names (id),
    thread INTEGER NOT NULL REFERENCES names (id),
    state TEXT NOT NULL,
    intent TEXT NOT NULL,
    source TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    workspace TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    answer TEXT,
    waiting TEXT NOT NULL,
    steps INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    final INTEGER NOT NULL
) STRICT;

CREATE INDEX interactions_newest ON interactions (created_at);
CREATE INDEX interactions_of_thread ON interactions (thread, created_at);
-- Recovery reads this one: it stays as small as what is unfinished, however many interactions there have been.
CREATE INDEX interactions_unfinished ON interactions (created_at) WHERE final = 0;

CREATE TABLE requests (
    asked_by TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    params_hash TEXT NOT NULL,
    result TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (asked_by, method, request_id)
) STRICT, WITHOUT ROWID;
