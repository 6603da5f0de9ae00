-- What reviews came to, by the hour, on all nodes together: a row for each queue that had any. It says how fast it goes.
CREATE TABLE gc_progress (
    hour timestamptz NOT NULL,
    queue text NOT NULL CHECK (queue IN ('blob', 'manifest')),
    reviewed bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    removed_bytes bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, queue)
);
