-- Who needs one thing, for one repository. Whether something is needed at all is asked with the queries of reviews.sql,
-- so that an explanation never says what a review would not do.

-- repository_id --
SELECT id FROM repositories WHERE path = $1;

-- manifest --
SELECT m.id, m.size, m.created_at, m.deleted_at, m.subject_digest, q.event, q.review_after, q.review_count, q.last_error
FROM manifests m LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE m.repository_id = $1 AND m.digest = $2;

-- A blob is shown where it is or was; that only other repositories have it is nobody's business here.
-- blob --
SELECT b.id, b.size, rb.created_at, rb.deleted_at, b.missing_since, q.event, q.review_after, q.review_count,
    q.last_error, q.claimed_until
FROM blobs b JOIN repository_blobs rb ON rb.repository_id = $1 AND rb.blob_id = b.id
    LEFT JOIN gc_blob_review_queue q ON q.digest = b.digest
WHERE b.digest = $2;

-- tags --
SELECT name FROM tags WHERE manifest_id = $1 ORDER BY name LIMIT $2;

-- Holders: id, digest, role, a tag, whether it is deleted, and when it is looked at.
-- parents --
SELECT m.id, m.digest, 'child', (SELECT min(t.name) FROM tags t WHERE t.manifest_id = m.id), m.deleted_at IS NOT NULL,
    q.review_after
FROM manifest_references r JOIN manifests m ON m.id = r.parent_id
    LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE r.child_id = $1 ORDER BY m.id LIMIT $2;

-- subject --
SELECT m.id, m.digest, 'subject', (SELECT min(t.name) FROM tags t WHERE t.manifest_id = m.id),
    m.deleted_at IS NOT NULL, q.review_after
FROM manifests m LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE m.repository_id = $1 AND m.digest = $2;

-- awaiting --
SELECT m.id, m.digest, 'awaited', (SELECT min(t.name) FROM tags t WHERE t.manifest_id = m.id),
    m.deleted_at IS NOT NULL, q.review_after
FROM sparse_references s JOIN manifests m ON m.id = s.manifest_id
    LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE s.repository_id = $1 AND s.digest = $2 ORDER BY m.id LIMIT $3;

-- with_layer --
SELECT m.id, m.digest, 'layer', (SELECT min(t.name) FROM tags t WHERE t.manifest_id = m.id), m.deleted_at IS NOT NULL,
    q.review_after
FROM layers l JOIN manifests m ON m.id = l.manifest_id
    LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE l.blob_id = $1 AND m.repository_id = $2 ORDER BY m.id LIMIT $3;

-- with_config --
SELECT m.id, m.digest, 'config', (SELECT min(t.name) FROM tags t WHERE t.manifest_id = m.id), m.deleted_at IS NOT NULL,
    q.review_after
FROM manifests m LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE m.config_blob_id = $1 AND m.repository_id = $2 ORDER BY m.id LIMIT $3;

-- needed_elsewhere --
SELECT 1 WHERE EXISTS (SELECT 1 FROM layers l JOIN manifests m ON m.id = l.manifest_id
        WHERE l.blob_id = $1 AND m.repository_id <> $2)
    OR EXISTS (SELECT 1 FROM manifests m WHERE m.config_blob_id = $1 AND m.repository_id <> $2)
    OR EXISTS (SELECT 1 FROM sparse_references s
        JOIN repository_blobs rb ON rb.repository_id = s.repository_id AND rb.blob_id = $1
        WHERE s.digest = $3 AND s.repository_id <> $2);

-- Of the last changes of the repository, the last that took a tag from it or deleted it. There is no index by digest, so
-- older ones are not looked for.
-- last_change --
SELECT action, tag, at, actor, request_id FROM (
    SELECT id, action, tag, at, actor, request_id, from_digest, to_digest FROM journal
    WHERE repository_id = $1 ORDER BY id DESC LIMIT 10000
) AS recent
WHERE from_digest = $2 AND (to_digest IS NULL OR to_digest <> $2) ORDER BY id DESC LIMIT 1;

-- delay --
SELECT value FROM gc_review_after_defaults WHERE event = 'layer_delete';
