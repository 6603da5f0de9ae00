-- Giving repositories other names. Ranges of paths as in details.sql.

-- has_namespace --
SELECT 1 FROM top_level_namespaces WHERE name = $1;

-- is_taken --
SELECT 1 FROM repositories WHERE path = $1 OR (path >= $1 || '/' AND path < $1 || '0') LIMIT 1;

-- movable --
SELECT id, path FROM repositories WHERE path = $1 OR (path >= $1 || '/' AND path < $1 || '0') ORDER BY id LIMIT $2;

-- locked --
SELECT id, path FROM repositories WHERE path = $1 OR (path >= $1 || '/' AND path < $1 || '0') ORDER BY id LIMIT $2;

-- add_namespace --
INSERT INTO top_level_namespaces (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- rename --
UPDATE repositories SET path = $3::text || substr(path, length($2::text) + 1), updated_at = $5,
    top_level_namespace_id = (SELECT n.id FROM top_level_namespaces n WHERE n.name = $4)
WHERE id = ANY($1);

-- write_journal --
INSERT INTO journal (at, request_id, actor, reason, action, repository_id, repository, detail)
VALUES ($1, $2, $3, $4, 'repository_rename', $5, $6, $7);
