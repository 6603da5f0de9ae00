-- All that is there, to be written as link files.

-- are_repositories --
SELECT path FROM repositories WHERE path = ANY($1);

-- is_in_catalogue --
SELECT 1 FROM repositories WHERE path = $1 AND populated_at IS NOT NULL;

-- page_of_manifests --
SELECT digest, size FROM manifests WHERE repository_id = (SELECT id FROM repositories WHERE path = $1)
    AND digest > $2 AND deleted_at IS NULL ORDER BY digest LIMIT $3;

-- manifests --
SELECT m.digest, m.media_type, m.payload FROM manifests m
WHERE m.repository_id = (SELECT id FROM repositories WHERE path = $1) AND m.digest = ANY($2) AND m.deleted_at IS NULL;

-- page_of_tags --
SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
WHERE t.repository_id = (SELECT id FROM repositories WHERE path = $1) AND t.name > $2 AND m.deleted_at IS NULL
ORDER BY t.name LIMIT $3;

-- tagged --
SELECT t.name FROM tags t WHERE t.repository_id = (SELECT id FROM repositories WHERE path = $1) AND t.name = ANY($2)
    AND (SELECT m.deleted_at IS NULL FROM manifests m WHERE m.id = t.manifest_id);
