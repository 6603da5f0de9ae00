-- Lock, then look; and never wait while something is held: what somebody else holds is left for the next time.

-- now --
SELECT now();

-- due_blobs --
SELECT digest, event, review_count, review_after FROM gc_blob_review_queue
WHERE review_after <= $1 AND (claimed_until IS NULL OR claimed_until <= $1) ORDER BY review_after LIMIT $2
FOR UPDATE SKIP LOCKED;

-- lock_blobs --
SELECT id FROM blobs WHERE digest = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED;

-- due_manifests --
SELECT manifest_id, event, review_count, review_after FROM gc_manifest_review_queue
WHERE review_after <= $1 ORDER BY review_after LIMIT $2 FOR UPDATE SKIP LOCKED;

-- lock_manifests --
SELECT id FROM manifests WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED;
