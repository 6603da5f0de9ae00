-- What somebody else holds is left as it is: waiting for several rows in any order could be waiting in a circle.

-- hurry_blobs --
UPDATE gc_blob_review_queue SET review_after = $1 WHERE digest IN (
    SELECT digest FROM gc_blob_review_queue
    WHERE digest = ANY($2) AND review_after > $1 AND event <> 'blob_upload' AND review_count = 0
        AND (claimed_until IS NULL OR claimed_until <= $1)
    FOR UPDATE SKIP LOCKED)
RETURNING digest;

-- hurry_manifests --
UPDATE gc_manifest_review_queue SET review_after = $1 WHERE manifest_id IN (
    SELECT manifest_id FROM gc_manifest_review_queue
    WHERE manifest_id = ANY($2) AND review_after > $1 AND event <> 'manifest_upload' AND review_count = 0
    FOR UPDATE SKIP LOCKED)
RETURNING manifest_id;
