-- Online garbage collection: what may be unused waits in a queue, and a review finds out. See ADR 0016.
-- Moments come from the database's own clock, as nodes differ.

-- Nothing is due while link files are taken over: a blob that they need looks as if nobody did.
-- due_blobs --
SELECT digest, event, review_count, review_after FROM gc_blob_review_queue
WHERE review_after <= $1 AND (claimed_until IS NULL OR claimed_until <= $1) AND {nothing_is_adopted}
ORDER BY review_after LIMIT $2;

-- Whatever happens to a claimed blob moves review_after away from claimed_until. Who expected it before has to do so
-- again, also if this claim ends without an end of the row: the bytes may have gone by then.
-- claim_blobs --
UPDATE gc_blob_review_queue SET claimed_by = $2, claimed_until = $3, review_after = $3, life = life + 1
WHERE digest = ANY($1);

-- Locked first: what was committed before the locks were had is seen by the statements after this one alone.
-- lock_blobs --
SELECT id FROM blobs WHERE digest = ANY($1);

-- What of the claimed digests is a blob, and whether nothing has happened to it since. Those that are not returned are
-- not claimed any more, or not for long enough.
-- claimed_blobs --
SELECT q.digest, b.id, b.size, q.review_after = q.claimed_until
FROM gc_blob_review_queue q LEFT JOIN blobs b ON b.digest = q.digest
WHERE q.digest = ANY($1) AND q.claimed_by = $2 AND q.claimed_until > $3;

-- needed_blobs --
SELECT b.id FROM blobs b WHERE b.id = ANY($1) AND {blob_is_needed};

-- drop_blobs --
DELETE FROM blobs WHERE id = ANY($1);

-- The bytes are gone.
-- finish_blobs --
DELETE FROM gc_blob_review_queue WHERE digest = ANY($1) AND claimed_by = $2 RETURNING digest;

-- Whoever has placed bytes without expecting them hears that some have gone.
-- count_removals --
UPDATE gc_blob_removals SET number = number + 1;

-- Needed, and nothing has happened to it since it was claimed.
-- forget_blobs --
DELETE FROM gc_blob_review_queue WHERE digest = ANY($1) AND claimed_by = $2 AND review_after = claimed_until;

-- put_off_blobs --
UPDATE gc_blob_review_queue SET claimed_by = NULL, claimed_until = NULL, review_count = review_count + $4,
    last_error = coalesce($5, last_error),
    review_after = CASE WHEN review_after = claimed_until THEN $3 ELSE review_after END
WHERE digest = ANY($1) AND claimed_by = $2;

-- prolong_blobs --
UPDATE gc_blob_review_queue SET claimed_until = $3,
    review_after = CASE WHEN review_after = claimed_until THEN $3 ELSE review_after END
WHERE digest = ANY($1) AND claimed_by = $2 AND claimed_until > $4 RETURNING digest;

-- due_manifests --
SELECT manifest_id, event, review_count, review_after FROM gc_manifest_review_queue
WHERE review_after <= $1 AND {nothing_is_adopted} ORDER BY review_after LIMIT $2;

-- lock_manifests --
SELECT id FROM manifests WHERE id = ANY($1);

-- needed_manifests --
SELECT m.id FROM manifests m WHERE m.id = ANY($1) AND {manifest_is_needed};

-- forget_manifests --
DELETE FROM gc_manifest_review_queue WHERE manifest_id = ANY($1);

-- drop_manifests --
DELETE FROM manifests WHERE id = ANY($1)
RETURNING id, digest, media_type, size, (SELECT r.path FROM repositories r WHERE r.id = manifests.repository_id);

-- put_off_manifests --
UPDATE gc_manifest_review_queue SET review_after = $2, review_count = review_count + $3,
    last_error = coalesce($4, last_error)
WHERE manifest_id = ANY($1);

-- next_blob --
SELECT min(review_after) FROM gc_blob_review_queue;

-- next_manifest --
SELECT min(review_after) FROM gc_manifest_review_queue;

-- set_delay --
UPDATE gc_review_after_defaults SET value = $1 WHERE value <> $1 RETURNING event;

-- note_progress --
INSERT INTO gc_progress (hour, queue, reviewed, removed, removed_bytes, failed) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (hour, queue) DO UPDATE SET reviewed = gc_progress.reviewed + excluded.reviewed,
    removed = gc_progress.removed + excluded.removed,
    removed_bytes = gc_progress.removed_bytes + excluded.removed_bytes, failed = gc_progress.failed + excluded.failed;

-- longest_delay --
SELECT max(value) FROM gc_review_after_defaults;

-- Due after $1: due at $2. Claimed beyond $3: until $4, and if nothing has happened to it since, due then.
-- mend_blobs --
UPDATE gc_blob_review_queue SET
    claimed_until = CASE WHEN claimed_until > $3 THEN $4 ELSE claimed_until END,
    review_after = CASE WHEN claimed_until > $3 AND review_after = claimed_until THEN $4
        WHEN review_after > $1 THEN $2 ELSE review_after END
WHERE digest IN (
    SELECT digest FROM gc_blob_review_queue WHERE review_after > $1 OR claimed_until > $3 LIMIT $5)
RETURNING digest;

-- mend_manifests --
UPDATE gc_manifest_review_queue SET review_after = $2 WHERE manifest_id IN (
    SELECT manifest_id FROM gc_manifest_review_queue WHERE review_after > $1 LIMIT $3)
RETURNING manifest_id;
