-- Rows are locked before they are compared, in one order, so that of two undos at once one wins and the other sees it.
-- The comparison is a statement of its own: only then does it see what the one before it wrote.

-- lock_tags --
SELECT id FROM tags WHERE repository_id = $1 AND name = ANY($2) ORDER BY name FOR UPDATE;

-- lock_manifests --
SELECT digest, id, deleted_at IS NULL FROM manifests WHERE repository_id = $1 AND digest = ANY($2)
ORDER BY id FOR NO KEY UPDATE;

-- lock_blobs --
SELECT b.digest, b.id, rb.deleted_at IS NULL FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id
WHERE b.digest = ANY($2) AND rb.repository_id = $1 ORDER BY b.id FOR KEY SHARE OF b FOR NO KEY UPDATE OF rb;

-- As a push holds what it names.
-- hold_blobs_of_manifests --
SELECT id FROM blobs WHERE id IN (
    SELECT blob_id FROM layers WHERE manifest_id = ANY($2)
    UNION SELECT config_blob_id FROM manifests WHERE id = ANY($2) AND config_blob_id IS NOT NULL
    UNION SELECT b.id FROM sparse_references s JOIN blobs b ON b.digest = s.digest
    WHERE s.manifest_id = ANY($2) AND s.repository_id = $1)
ORDER BY id FOR KEY SHARE;

-- An undo changes tags, then manifests, then tags again: whoever does so in another order would be in a circle with it.
-- So nobody pushes to these, nor changes anything in them, until it has ended.
-- hold_repositories --
SELECT id FROM repositories WHERE id = ANY($1) ORDER BY id FOR UPDATE;

-- lock_repository --
SELECT path FROM repositories WHERE id = $1 FOR NO KEY UPDATE;

-- Tags and the ids of manifests they shall point to, as one JSON text: a batch is one statement.

-- journal_pointed --
INSERT INTO journal (repository_id, repository, at, actor, request_id, reason, action, tag, from_digest, to_digest)
SELECT $1, $3, $4, $5, $6, $7, CASE WHEN t.id IS NULL THEN 'tag_create' ELSE 'tag_move' END, p.value ->> 0, f.digest,
    m.digest
FROM jsonb_array_elements($2::text::jsonb) AS p (value)
JOIN manifests m ON m.id = (p.value ->> 1)::bigint
LEFT JOIN tags t ON t.repository_id = $1 AND t.name = p.value ->> 0
LEFT JOIN manifests f ON f.id = t.manifest_id
ORDER BY (p.value ->> 0) COLLATE "C";

-- A tag that comes back counts as published when it was, so that "the newest" are the same as before.
-- add_tags --
INSERT INTO tags (repository_id, name, manifest_id, created_at, published_at)
SELECT $1, p.value ->> 0, m.id, $3, coalesce((SELECT j.at FROM journal j
    WHERE j.repository_id = $1 AND j.tag = p.value ->> 0 AND j.to_digest = m.digest AND j.at < $3
    ORDER BY j.id DESC LIMIT 1), $3)
FROM jsonb_array_elements($2::text::jsonb) AS p (value) JOIN manifests m ON m.id = (p.value ->> 1)::bigint;

-- move_tags --
UPDATE tags SET manifest_id = (p.value ->> 1)::bigint, updated_at = $3, published_at = $3
FROM jsonb_array_elements($2::text::jsonb) AS p (value) WHERE tags.repository_id = $1 AND tags.name = p.value ->> 0;
