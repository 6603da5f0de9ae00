-- Background migrations. Statuses of a migration: 0 paused, 1 active, 2 finished, 3 failed, 4 running; of a job: 1
-- active, 2 finished, 3 failed. Every change names the status that it comes from: somebody else may have been quicker.

-- migrations --
SELECT id, name, min_value, max_value, batch_size, status, job_signature_name, table_name, column_name,
    failure_error_code, batching_strategy, total_tuple_count
FROM batched_background_migrations ORDER BY id;

-- Running ones first.
-- next_migration --
SELECT id, name, min_value, max_value, batch_size, status, job_signature_name, table_name, column_name,
    failure_error_code, batching_strategy, total_tuple_count
FROM batched_background_migrations WHERE status IN (1, 4) ORDER BY status DESC, id LIMIT 1;

-- finished --
SELECT name FROM batched_background_migrations WHERE name = ANY($1) AND status = 2;

-- job_counts --
SELECT batched_background_migration_id, status, count(*), sum(max_value - min_value + 1)
FROM batched_background_migration_jobs GROUP BY batched_background_migration_id, status;

-- pause --
UPDATE batched_background_migrations SET status = 0, updated_at = $1 WHERE status IN (1, 4) RETURNING name;

-- resume --
UPDATE batched_background_migrations SET status = 1, updated_at = $1 WHERE status = 0 RETURNING name;

-- revive --
UPDATE batched_background_migrations SET status = 1, failure_error_code = NULL, updated_at = $1
WHERE status = 3 RETURNING name;

-- forgive_jobs --
UPDATE batched_background_migration_jobs SET attempts = 0, updated_at = $1
WHERE status IN (1, 3) AND attempts > 0 RETURNING id;

-- start_migration --
UPDATE batched_background_migrations
SET status = 4, started_at = coalesce(started_at, $2), updated_at = $2, total_tuple_count = coalesce(total_tuple_count, $3)
WHERE id = $1 AND status = 1 RETURNING id;

-- finish_migration --
UPDATE batched_background_migrations SET status = 2, failure_error_code = NULL, finished_at = $2, updated_at = $2
WHERE id = $1 AND status IN (1, 4) RETURNING id;

-- fail_migration --
UPDATE batched_background_migrations SET status = 3, failure_error_code = $2, updated_at = $3
WHERE id = $1 AND status IN (1, 4) RETURNING id;

-- A job that nobody finished: whoever had it is gone, as only one worker is at work.
-- unfinished_job --
SELECT id, min_value, max_value, status, attempts FROM batched_background_migration_jobs
WHERE batched_background_migration_id = $1 AND status = 1 ORDER BY attempts, id LIMIT 1;

-- failed_job --
SELECT id, min_value, max_value, status, attempts FROM batched_background_migration_jobs
WHERE batched_background_migration_id = $1 AND status = 3 ORDER BY attempts, id LIMIT 1;

-- last_job --
SELECT max(max_value) FROM batched_background_migration_jobs WHERE batched_background_migration_id = $1;

-- create_job --
INSERT INTO batched_background_migration_jobs (batched_background_migration_id, min_value, max_value, created_at)
VALUES ($1, $2, $3, $4) RETURNING id, min_value, max_value, status, attempts;

-- begin_job --
UPDATE batched_background_migration_jobs
SET status = 1, attempts = attempts + 1, failure_error_code = NULL, started_at = $3, updated_at = $3
WHERE id = $1 AND attempts = $2 AND status IN (1, 3) RETURNING attempts;

-- finish_job --
UPDATE batched_background_migration_jobs SET status = 2, finished_at = $3, updated_at = $3
WHERE id = $1 AND attempts = $2 AND status = 1 RETURNING id;

-- fail_job --
UPDATE batched_background_migration_jobs SET status = 3, failure_error_code = 0, updated_at = $3
WHERE id = $1 AND attempts = $2 AND status = 1 RETURNING id;
