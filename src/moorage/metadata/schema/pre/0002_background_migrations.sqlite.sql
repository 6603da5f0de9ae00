-- Large changes to rows, made in batches while serving; tables and numbers as GitLab's.
-- status of a migration: 0 paused, 1 active, 2 finished, 3 failed, 4 running; of a job: 1 active, 2 finished, 3 failed.
-- batching_strategy: NULL for ranges of ids, or 'NullKeySetBatchingStrategy'.

CREATE TABLE batched_background_migrations (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    updated_at INTEGER,
    min_value INTEGER NOT NULL DEFAULT 1,
    max_value INTEGER NOT NULL,
    batch_size INTEGER NOT NULL,
    status INTEGER NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 4),
    job_signature_name TEXT NOT NULL,
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    failure_error_code INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    batching_strategy TEXT,
    total_tuple_count INTEGER,
    CHECK (batch_size > 0)
);
CREATE INDEX batched_background_migrations_by_status ON batched_background_migrations (status);

CREATE TABLE batched_background_migration_jobs (
    id INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    updated_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    batched_background_migration_id INTEGER NOT NULL REFERENCES batched_background_migrations (id) ON DELETE CASCADE,
    min_value INTEGER NOT NULL,
    max_value INTEGER NOT NULL,
    status INTEGER NOT NULL DEFAULT 1 CHECK (status BETWEEN 1 AND 3),
    failure_error_code INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX batched_background_migration_jobs_by_status
    ON batched_background_migration_jobs (batched_background_migration_id, status, attempts, id);
-- A range is made a job once only; jobs of the null strategy have no range.
CREATE UNIQUE INDEX batched_background_migration_jobs_by_range
    ON batched_background_migration_jobs (batched_background_migration_id, min_value) WHERE max_value <> 0;
