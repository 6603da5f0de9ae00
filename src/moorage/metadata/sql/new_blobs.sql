-- last_blob_number --
SELECT coalesce(max(id), 0) FROM blobs;

-- blobs_numbered_after --
SELECT id, digest FROM blobs WHERE id > $1 ORDER BY id LIMIT $2;
