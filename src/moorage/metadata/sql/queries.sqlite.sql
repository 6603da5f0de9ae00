-- What SQLite does step by step, inside one transaction, where PostgreSQL has a function.

-- No row: garbage collection is removing the bytes of this digest right now.
-- expect_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
SELECT $1, now_us() + value, event, $2 FROM gc_review_after_defaults WHERE event = 'blob_upload'
ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event,
    review_count = 0, last_error = NULL, claimed_by = NULL, claimed_until = NULL
WHERE claimed_until IS NULL OR claimed_until <= now_us()
RETURNING life;

-- No row: it is not the row that expecting the blob made, or garbage collection has claimed it.
-- renew_expected --
UPDATE gc_blob_review_queue SET event = 'blob_upload',
    review_after = now_us() + (SELECT value FROM gc_review_after_defaults WHERE event = 'blob_upload')
WHERE digest = $1 AND life = $2 AND (claimed_until IS NULL OR claimed_until <= now_us())
RETURNING life;

-- No row: garbage collection has claimed it, or has removed blobs since $3 was their number.
-- note_placed --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
SELECT $1, now_us() + value, event, $2 FROM gc_review_after_defaults
WHERE event = 'blob_upload' AND (SELECT number FROM gc_blob_removals) = $3
ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event,
    review_count = 0, last_error = NULL
WHERE claimed_by IS NULL
RETURNING life;

-- lock_repository --
SELECT id FROM repositories WHERE path = $1;

-- repository --
SELECT id, populated_at FROM repositories WHERE path = $1;

-- add_namespace --
INSERT INTO top_level_namespaces (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- add_repository --
INSERT INTO repositories (top_level_namespace_id, path, created_at)
SELECT id, $2, $3 FROM top_level_namespaces WHERE name = $1 RETURNING id;

-- populate_repository --
UPDATE repositories SET populated_at = $2 WHERE id = $1;

-- publish_repository --
UPDATE repositories SET last_published_at = $2 WHERE id = $1;

-- The bytes have just been hashed: a size that is noted otherwise is wrong.
-- add_blob --
INSERT INTO blobs (digest, size, created_at) VALUES ($1, $2, $3)
ON CONFLICT (digest) DO UPDATE SET missing_since = NULL, size = excluded.size
WHERE missing_since IS NOT NULL OR size <> excluded.size;

-- add_link --
INSERT INTO repository_blobs (repository_id, blob_id, created_at) SELECT $1, id, $3 FROM blobs WHERE digest = $2
ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL WHERE deleted_at IS NOT NULL;

-- No row: there is no such repository, or it has the blob already.
-- add_link_by_path --
INSERT INTO repository_blobs (repository_id, blob_id, created_at)
SELECT r.id, b.id, $3 FROM repositories r, blobs b WHERE r.path = $1 AND b.digest = $2
ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL WHERE deleted_at IS NOT NULL
RETURNING repository_id;

-- stored_manifest --
SELECT id, deleted_at FROM manifests WHERE repository_id = $1 AND digest = $2;

-- revive_manifest --
UPDATE manifests SET deleted_at = NULL, media_type = $3, payload = $5,
    config_blob_id = coalesce(config_blob_id, (SELECT b.id FROM {blobs_of_the_repository} AND b.digest = $4))
WHERE id = $1;

-- add_manifest --
INSERT INTO manifests (repository_id, digest, media_type, artifact_type, payload, size, total_size, config_blob_id,
    config_media_type, config_payload, subject_digest, annotations, annotations_size, created_at)
VALUES ($1, $2, $3, $4, $5, length($5), $6, (SELECT b.id FROM blobs b
    JOIN repository_blobs rb ON rb.blob_id = b.id AND rb.repository_id = $1 WHERE b.digest = $7), $8, $9, $10, $11, length($11), $12)
RETURNING id;

-- add_layers --
INSERT INTO layers (manifest_id, blob_id) SELECT $1, b.id FROM {blobs_of_the_repository} AND b.digest = ANY($3)
ON CONFLICT DO NOTHING;

-- add_references --
INSERT INTO manifest_references (parent_id, child_id)
SELECT $1, id FROM manifests WHERE repository_id = $2 AND digest = ANY($3) AND id <> $1 ON CONFLICT DO NOTHING;

-- forget_sparse --
DELETE FROM sparse_references WHERE manifest_id = $1;

-- add_sparse --
INSERT INTO sparse_references (digest, repository_id, manifest_id) SELECT $1, $2, $3
WHERE {is_unrelated}
ON CONFLICT DO NOTHING;

-- tag_target --
SELECT t.id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.repository_id = $1 AND t.name = $2;

-- add_tag --
INSERT INTO tags (repository_id, name, manifest_id, created_at, published_at) VALUES ($1, $2, $3, $4, $4);

-- move_tag --
UPDATE tags SET manifest_id = $2, updated_at = $3, published_at = $3 WHERE id = $1;

-- The last column: whether its review comes so soon that the answer is only good if the review is put off.
-- asked_blob --
SELECT q.review_after < now_us() + d.value / 2 OR coalesce(q.claimed_until > now_us(), false), b.size
FROM blobs b CROSS JOIN repository_blobs rb
LEFT JOIN gc_blob_review_queue q ON q.digest = b.digest
LEFT JOIN gc_review_after_defaults d ON d.event = 'blob_upload'
WHERE b.digest = $2 AND b.missing_since IS NULL
    AND rb.repository_id = (SELECT id FROM repositories WHERE path = $1) AND rb.blob_id = b.id AND rb.deleted_at IS NULL;

-- No row: garbage collection has it, or has had it.
-- put_off_blob --
UPDATE gc_blob_review_queue
SET review_after = now_us() + (SELECT value FROM gc_review_after_defaults WHERE event = 'blob_upload')
WHERE digest = $1 AND (claimed_until IS NULL OR claimed_until <= now_us())
    AND EXISTS (SELECT 1 FROM blobs WHERE digest = $1) RETURNING digest;

-- asked_manifest --
SELECT m.digest, m.media_type, m.payload, m.id, q.review_after < now_us() + d.value / 2
FROM repositories r JOIN manifests m ON m.repository_id = r.id
LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
LEFT JOIN gc_review_after_defaults d ON d.event = 'manifest_upload'
WHERE r.path = $1 AND m.digest = $2 AND m.deleted_at IS NULL;

-- put_off_manifest --
UPDATE gc_manifest_review_queue
SET review_after = now_us() + (SELECT value FROM gc_review_after_defaults WHERE event = 'manifest_upload')
WHERE manifest_id = $1 RETURNING manifest_id;

-- Of the next $5, those before which there is room on the page; how many the next were; and how much has to be read for
-- each. All of it is in one index: a row is read through its payload to what comes after that.
-- referring --
SELECT id, total, weight FROM (
    SELECT id, digest, size + annotations_size AS weight, count(*) OVER () AS total,
        sum(annotations_size) OVER (ORDER BY digest) - annotations_size AS before
    FROM (
        SELECT m.id, m.digest, m.size, m.annotations_size FROM manifests m
        WHERE m.repository_id = (SELECT id FROM repositories WHERE path = $1) AND m.subject_digest = $2
            AND m.digest > $3 AND m.deleted_at IS NULL AND ($4::text IS NULL OR m.artifact_type = $4::text)
        ORDER BY m.digest LIMIT $5
    ) AS following
) AS measured WHERE before <= $6;

-- referrers --
SELECT digest, media_type, size, artifact_type, annotations FROM manifests WHERE id = ANY($1) ORDER BY digest;
