-- Moments come from the database's own clock, as nodes differ.
-- No row: somebody else has claimed it. Who expected the digest before has to do so again, as for claim_blobs.
-- claim_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life, claimed_by, claimed_until)
VALUES ($1, gc_review_after_v1('blob_upload'), 'blob_upload', $2, $3, now() + $4::bigint * interval '1 microsecond')
ON CONFLICT (digest) DO UPDATE
SET claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until, life = gc_blob_review_queue.life + 1
WHERE gc_blob_review_queue.claimed_until IS NULL OR gc_blob_review_queue.claimed_until <= now()
    OR gc_blob_review_queue.claimed_by = excluded.claimed_by
RETURNING life;

-- review_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
VALUES ($1, gc_review_after_v1('blob_upload'), 'blob_upload', $2) ON CONFLICT DO NOTHING;

-- review_manifest --
INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
SELECT id, gc_review_after_v1('manifest_upload'), 'manifest_upload' FROM manifests WHERE id = $1
ON CONFLICT DO NOTHING;

-- hold_manifest --
SELECT repository_id FROM manifests WHERE id = $1 FOR NO KEY UPDATE;
