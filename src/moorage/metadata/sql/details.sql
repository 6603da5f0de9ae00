-- What is known of repositories and tags. The repositories below a path are the range from '<path>/' to '<path>0', as
-- '0' follows '/'.

-- repository_details --
SELECT path, created_at, updated_at, last_published_at FROM repositories WHERE path = $1;

-- has_namespace --
SELECT 1 FROM top_level_namespaces WHERE name = $1;

-- repositories_under --
SELECT path, created_at, updated_at, last_published_at FROM (
    SELECT r.path, r.created_at, r.updated_at, r.last_published_at FROM repositories r
    WHERE r.path = $1 AND r.path > $2 AND {has_a_tag}
    UNION ALL
    SELECT * FROM (
        SELECT r.path, r.created_at, r.updated_at, r.last_published_at FROM repositories r
        WHERE r.path > $3 AND r.path < $1 || '0' AND {has_a_tag}
        ORDER BY r.path LIMIT $4
    ) AS below
) AS page ORDER BY path LIMIT $4;

-- tag_entry --
SELECT t.name, m.digest, c.digest, m.media_type, m.total_size, t.created_at, t.updated_at, t.published_at
FROM repositories r JOIN tags t ON t.repository_id = r.id JOIN manifests m ON m.id = t.manifest_id
    LEFT JOIN blobs c ON c.id = m.config_blob_id
WHERE r.path = $1 AND t.name = $2;

-- tag_details --
SELECT m.digest, m.media_type, m.total_size, c.digest, m.config_media_type, m.config_payload, m.id,
    t.created_at, t.updated_at, t.published_at
FROM repositories r JOIN tags t ON t.repository_id = r.id JOIN manifests m ON m.id = t.manifest_id
    LEFT JOIN blobs c ON c.id = m.config_blob_id
WHERE r.path = $1 AND t.name = $2;

-- What an index refers to, and the indexes in it: each reference once, however often it can be reached.
-- references --
WITH RECURSIVE edges (parent_id, child_id) AS (
    SELECT mr.parent_id, mr.child_id FROM manifest_references mr WHERE mr.parent_id = $1
    UNION
    SELECT mr.parent_id, mr.child_id FROM edges e JOIN manifest_references mr ON mr.parent_id = e.child_id
)
SELECT m.digest, m.media_type, m.total_size, c.digest, m.config_media_type, m.config_payload, m.id, e.parent_id
FROM edges e JOIN manifests m ON m.id = e.child_id LEFT JOIN blobs c ON c.id = m.config_blob_id
WHERE m.deleted_at IS NULL
ORDER BY m.id LIMIT $2;

-- referrers --
SELECT m.subject_digest, m.artifact_type, m.digest FROM repositories r JOIN manifests m ON m.repository_id = r.id
WHERE r.path = $1 AND m.subject_digest = ANY($2) AND m.deleted_at IS NULL
ORDER BY m.subject_digest, m.digest;

-- referrers_of_types --
SELECT m.subject_digest, m.artifact_type, m.digest FROM repositories r JOIN manifests m ON m.repository_id = r.id
WHERE r.path = $1 AND m.subject_digest = ANY($2) AND m.deleted_at IS NULL AND lower(m.artifact_type) = ANY($3)
ORDER BY m.subject_digest, m.digest;
