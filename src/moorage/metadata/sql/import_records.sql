-- Runs of imports (import_statistics).

-- begin_import --
INSERT INTO import_statistics (started_at, storage_driver) VALUES ($1, $2) RETURNING id;

-- write_import --
UPDATE import_statistics SET finished_at = $2,
    pre_import_started_at = $3, pre_import_finished_at = $4, pre_import_error = $5,
    tag_import_started_at = $6, tag_import_finished_at = $7, tag_import_error = $8,
    blob_import_started_at = $9, blob_import_finished_at = $10, blob_import_error = $11,
    repositories_count = $12, tags_count = $13, manifests_count = $14, blobs_count = $15, blobs_size_bytes = $16
WHERE id = $1;

-- newest_imports --
SELECT id, storage_driver, started_at, finished_at,
    pre_import_started_at, pre_import_finished_at, pre_import_error,
    tag_import_started_at, tag_import_finished_at, tag_import_error,
    blob_import_started_at, blob_import_finished_at, blob_import_error,
    repositories_count, tags_count, manifests_count, blobs_count, blobs_size_bytes
FROM import_statistics ORDER BY id DESC LIMIT $1;
