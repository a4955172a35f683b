-- What was asked of language models, one row a call by the seq of its model.asked; a projection of the model.* events.
-- `tokens` and `cost` are the most that it may take as long as it is `asked`; a call that a crash overtook stays so.
CREATE TABLE model_calls (
    seq INTEGER PRIMARY KEY,
    interaction INTEGER,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    model TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    input INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cost INTEGER,
    ms INTEGER NOT NULL
) STRICT;

CREATE INDEX model_calls_of_interaction ON model_calls (interaction) WHERE interaction IS NOT NULL;
CREATE INDEX model_calls_at ON model_calls (at);
