-- A check: what should be in storage, and what a repair changes. See ADR 0018.

-- One statement sees one moment: that a blob is neither needed nor waiting for a review can only be so if something went
-- wrong.
-- blobs_after --
SELECT b.digest, b.id, b.created_at, b.size, b.missing_since IS NOT NULL, {blob_is_needed}, q.digest IS NOT NULL
FROM blobs b LEFT JOIN gc_blob_review_queue q ON q.digest = b.digest
WHERE b.digest > $1 ORDER BY b.digest LIMIT $2;

-- look_at_blobs --
SELECT b.digest, b.id, b.created_at, b.size, b.missing_since IS NOT NULL, {blob_is_needed}, q.digest IS NOT NULL
FROM blobs b LEFT JOIN gc_blob_review_queue q ON q.digest = b.digest
WHERE b.digest = ANY($1)
UNION ALL
SELECT q.digest, NULL, NULL, NULL, false, false, true
FROM gc_blob_review_queue q
WHERE q.digest = ANY($1) AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = q.digest);

-- release_blob --
UPDATE gc_blob_review_queue SET claimed_by = NULL, claimed_until = NULL WHERE digest = $1 AND claimed_by = $2;

-- mark_blob --
UPDATE blobs SET missing_since = coalesce(missing_since, $3) WHERE digest = $1
    AND EXISTS (SELECT 1 FROM gc_blob_review_queue q
        WHERE q.digest = $1 AND q.claimed_by = $2 AND q.claimed_until > $3)
RETURNING id;

-- unmark_blob --
UPDATE blobs SET missing_since = NULL WHERE digest = $1
    AND EXISTS (SELECT 1 FROM gc_blob_review_queue q
        WHERE q.digest = $1 AND q.claimed_by = $2 AND q.claimed_until > $3)
RETURNING id;

-- resize_blob --
UPDATE blobs SET size = $4 WHERE digest = $1
    AND EXISTS (SELECT 1 FROM gc_blob_review_queue q
        WHERE q.digest = $1 AND q.claimed_by = $2 AND q.claimed_until > $3)
RETURNING id;

-- manifests_after --
SELECT m.id, m.created_at, r.path, m.digest, m.media_type, m.payload, {manifest_is_needed},
    q.manifest_id IS NOT NULL
FROM manifests m JOIN repositories r ON r.id = m.repository_id
LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE m.id IN (
    SELECT id FROM (
        SELECT id, size, sum(size) OVER (ORDER BY id) AS total
        FROM (SELECT id, size FROM manifests WHERE id > $1 ORDER BY id LIMIT $2) AS following
    ) AS measured WHERE total - size < $3::bigint)
ORDER BY m.id;

-- page_of_digests --
SELECT id, digest FROM manifests WHERE id > $1 ORDER BY id LIMIT $2;

-- look_at_manifests --
SELECT m.id, m.created_at, r.path, m.digest, m.media_type, m.payload, {manifest_is_needed},
    q.manifest_id IS NOT NULL
FROM manifests m JOIN repositories r ON r.id = m.repository_id
LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE m.id = ANY($1);

-- relations --
SELECT l.manifest_id, b.digest FROM layers l JOIN blobs b ON b.id = l.blob_id WHERE l.manifest_id = ANY($1)
UNION ALL
SELECT m.id, b.digest FROM manifests m JOIN blobs b ON b.id = m.config_blob_id WHERE m.id = ANY($1)
UNION ALL
SELECT r.parent_id, c.digest FROM manifest_references r JOIN manifests c ON c.id = r.child_id
WHERE r.parent_id = ANY($1)
UNION ALL
SELECT s.manifest_id, s.digest FROM sparse_references s WHERE s.manifest_id = ANY($1);

-- hold_manifest --
SELECT repository_id FROM manifests WHERE id = $1;

-- relate_config --
UPDATE manifests SET config_blob_id = (SELECT b.id FROM {blobs_of_the_repository} AND b.digest = $3)
WHERE id = $1 AND config_blob_id IS NULL;

-- relate_blobs --
INSERT INTO layers (manifest_id, blob_id) SELECT $1, b.id FROM {blobs_of_the_repository} AND b.digest = ANY($3)
ON CONFLICT DO NOTHING;

-- relate_children --
INSERT INTO manifest_references (parent_id, child_id)
SELECT $1, id FROM manifests WHERE repository_id = $2 AND digest = ANY($3) AND id <> $1 ON CONFLICT DO NOTHING;

-- relate_absent --
INSERT INTO sparse_references (digest, repository_id, manifest_id) SELECT $1, $2, $3
WHERE {is_unrelated}
ON CONFLICT DO NOTHING;
