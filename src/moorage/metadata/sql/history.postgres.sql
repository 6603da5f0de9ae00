-- Rows are locked before they are compared, in one order, so that of two undos at once one wins and the other sees it.
-- The comparison is a statement of its own: only then does it see what the one before it wrote.

-- lock_tags --
SELECT id FROM tags WHERE repository_id = $1 AND name = ANY($2) ORDER BY name FOR UPDATE;

-- lock_manifests --
SELECT digest, id, deleted_at IS NULL FROM manifests WHERE repository_id = $1 AND digest = ANY($2)
ORDER BY id FOR NO KEY UPDATE;

-- lock_blobs --
SELECT b.digest, b.id, rb.deleted_at IS NULL FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id
WHERE b.digest = ANY($2) AND rb.repository_id = $1 ORDER BY b.id FOR NO KEY UPDATE OF rb;

-- lock_repository --
SELECT path FROM repositories WHERE id = $1 FOR NO KEY UPDATE;
