-- No row: somebody else has claimed it. Who expected the digest before has to do so again, as for claim_blobs.
-- claim_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life, claimed_by, claimed_until)
SELECT $1, now_us() + value, event, $2, $3, now_us() + $4 FROM gc_review_after_defaults WHERE event = 'blob_upload'
ON CONFLICT (digest) DO UPDATE
SET claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until, life = life + 1
WHERE claimed_until IS NULL OR claimed_until <= now_us() OR claimed_by = excluded.claimed_by
RETURNING life;

-- review_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
SELECT $1, now_us() + value, event, $2 FROM gc_review_after_defaults WHERE event = 'blob_upload'
ON CONFLICT DO NOTHING;

-- review_manifest --
INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
SELECT m.id, now_us() + d.value, d.event FROM manifests m, gc_review_after_defaults d
WHERE m.id = $1 AND d.event = 'manifest_upload'
ON CONFLICT DO NOTHING;
