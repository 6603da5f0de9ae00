-- What PostgreSQL does in one round trip, by the functions of the first migration.

-- No row: garbage collection is removing the bytes of this digest right now.
-- expect_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
VALUES ($1, gc_review_after_v1('blob_upload'), 'blob_upload', $2)
ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event,
    review_count = 0, last_error = NULL, claimed_by = NULL, claimed_until = NULL
WHERE gc_blob_review_queue.claimed_until IS NULL OR gc_blob_review_queue.claimed_until <= now()
RETURNING life;

-- Whoever changes tags holds the repository first.
-- lock_repository --
SELECT id FROM repositories WHERE path = $1 FOR NO KEY UPDATE;

-- The last column: whether the size that was noted is wrong, as the bytes have just been hashed.
-- link_blob --
SELECT link_blob_v2($1, $2, $3, $4, $5), (SELECT size <> $3 FROM blobs WHERE digest = $2);

-- mend_size --
UPDATE blobs SET size = $2 WHERE digest = $1 RETURNING id;

-- put_manifest --
SELECT put_manifest_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);

-- The last column: whether its review comes so soon that the answer is only good if the review is put off.
-- asked_blob --
SELECT q.review_after < now() + d.value / 2 * interval '1 microsecond' OR coalesce(q.claimed_until > now(), false), b.size
FROM repositories r CROSS JOIN blobs b CROSS JOIN repository_blobs rb
LEFT JOIN gc_blob_review_queue q ON q.digest = b.digest
LEFT JOIN gc_review_after_defaults d ON d.event = 'blob_upload'
WHERE r.path = $1 AND b.digest = $2 AND b.missing_since IS NULL
    AND rb.repository_id = r.id AND rb.blob_id = b.id AND rb.deleted_at IS NULL;

-- No row: garbage collection has it, or has had it.
-- put_off_blob --
UPDATE gc_blob_review_queue SET review_after = gc_review_after_v1('blob_upload')
WHERE digest = $1 AND (claimed_until IS NULL OR claimed_until <= now())
    AND EXISTS (SELECT 1 FROM blobs WHERE digest = $1) RETURNING digest;

-- asked_manifest --
SELECT m.digest, m.media_type, m.payload, m.id,
    q.review_after < now() + d.value / 2 * interval '1 microsecond'
FROM repositories r JOIN manifests m ON m.repository_id = r.id
LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
LEFT JOIN gc_review_after_defaults d ON d.event = 'manifest_upload'
WHERE r.path = $1 AND m.digest = $2 AND m.deleted_at IS NULL;

-- put_off_manifest --
UPDATE gc_manifest_review_queue SET review_after = gc_review_after_v1('manifest_upload')
WHERE manifest_id = $1 RETURNING manifest_id;
