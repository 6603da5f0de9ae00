-- What reviews came to, by the hour, on all nodes together: a row for each queue that had any. It says how fast it goes.
CREATE TABLE gc_progress (
    hour INTEGER NOT NULL,
    queue TEXT NOT NULL CHECK (queue IN ('blob', 'manifest')),
    reviewed INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    removed_bytes INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, queue)
) WITHOUT ROWID;
