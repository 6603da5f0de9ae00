-- Tags and the ids of manifests they shall point to, as one JSON text: a batch is one statement.

-- journal_pointed --
INSERT INTO journal (repository_id, repository, at, actor, request_id, reason, action, tag, from_digest, to_digest)
SELECT $1, $3, $4, $5, $6, $7, CASE WHEN t.id IS NULL THEN 'tag_create' ELSE 'tag_move' END,
    json_extract(p.value, '$[0]'), f.digest, m.digest
FROM json_each($2) AS p
JOIN manifests m ON m.id = json_extract(p.value, '$[1]')
LEFT JOIN tags t ON t.repository_id = $1 AND t.name = json_extract(p.value, '$[0]')
LEFT JOIN manifests f ON f.id = t.manifest_id
ORDER BY json_extract(p.value, '$[0]');

-- A tag that comes back counts as published when it was, so that "the newest" are the same as before.
-- add_tags --
INSERT INTO tags (repository_id, name, manifest_id, created_at, published_at)
SELECT $1, json_extract(p.value, '$[0]'), m.id, $3, coalesce((SELECT j.at FROM journal j
    WHERE j.repository_id = $1 AND j.tag = json_extract(p.value, '$[0]') AND j.to_digest = m.digest AND j.at < $3
    ORDER BY j.id DESC LIMIT 1), $3)
FROM json_each($2) AS p JOIN manifests m ON m.id = json_extract(p.value, '$[1]');

-- By a subselect: in a join SQLite would read all tags of the repository, and the text for each of them.
-- move_tags --
UPDATE tags SET manifest_id = json_extract(p.value, '$[1]'), updated_at = $3, published_at = $3
FROM json_each($2) AS p WHERE tags.id = (
    SELECT t.id FROM tags t WHERE t.repository_id = $1 AND t.name = json_extract(p.value, '$[0]'));
