-- Lock, then look; and hardly ever wait while something is held: what somebody else holds is left for the next time.

-- A collector gives up before PostgreSQL looks for a deadlock (deadlock_timeout, a second): so it never is a client that
-- has to give way.
-- now --
SELECT now(), set_config('lock_timeout', '500ms', true);

-- due_blobs --
SELECT digest, event, review_count, review_after FROM gc_blob_review_queue
WHERE review_after <= $1 AND (claimed_until IS NULL OR claimed_until <= $1) AND {nothing_is_adopted}
ORDER BY review_after LIMIT $2
FOR UPDATE SKIP LOCKED;

-- lock_blobs --
SELECT id FROM blobs WHERE digest = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED;

-- due_manifests --
SELECT manifest_id, event, review_count, review_after FROM gc_manifest_review_queue
WHERE review_after <= $1 AND {nothing_is_adopted} ORDER BY review_after LIMIT $2 FOR UPDATE SKIP LOCKED;

-- lock_manifests --
SELECT id FROM manifests WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED;

-- Indexes that list their own subject, where that has no tag: each may be there for the other alone.
-- review_circles --
INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
SELECT m.id, gc_review_after_v1('tag_delete'), 'tag_delete' FROM manifests s
JOIN manifest_references r ON r.child_id = s.id
JOIN manifests m ON m.id = r.parent_id AND m.subject_digest = s.digest
WHERE s.id = ANY($1) AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = s.id)
ORDER BY m.id ON CONFLICT DO NOTHING;
