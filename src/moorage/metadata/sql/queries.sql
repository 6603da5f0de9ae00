-- Links, manifests, tags and lists. Parameters in the order of what they narrow: repository first.

-- has_blob --
SELECT b.size FROM blobs b CROSS JOIN repository_blobs rb
WHERE b.digest = $2 AND b.missing_since IS NULL
    AND rb.repository_id = (SELECT id FROM repositories WHERE path = $1) AND rb.blob_id = b.id AND rb.deleted_at IS NULL;

-- A repository may have very many blobs, and a few are asked for: each is looked up by both columns of an index. OFFSET
-- keeps PostgreSQL from making a join of it: in a database that is being filled it would begin with the repository.
-- known_blobs --
SELECT b.digest, b.size FROM blobs b
WHERE b.digest = ANY($2) AND b.missing_since IS NULL AND EXISTS (
    SELECT 1 FROM repository_blobs rb WHERE rb.repository_id = (SELECT id FROM repositories WHERE path = $1)
        AND rb.blob_id = b.id AND rb.deleted_at IS NULL
    LIMIT 1 OFFSET 0
);

-- removals --
SELECT number FROM gc_blob_removals;

-- known_blob --
SELECT size FROM blobs WHERE digest = $1 AND missing_since IS NULL;

-- hold_blob --
SELECT b.id, rb.repository_id FROM blobs b CROSS JOIN repository_blobs rb
WHERE b.digest = $2 AND rb.repository_id = (SELECT id FROM repositories WHERE path = $1) AND rb.blob_id = b.id
    AND rb.deleted_at IS NULL;

-- Manifests of all repositories that need the blob $1, by id after $3; whether they can be pulled from the one of id $2.
-- needing_as_layer --
SELECT m.id, m.digest, m.repository_id = $2 AND m.deleted_at IS NULL
FROM (SELECT manifest_id FROM layers WHERE blob_id = $1 AND manifest_id > $3 ORDER BY manifest_id LIMIT $4) AS l
CROSS JOIN manifests m WHERE m.id = l.manifest_id ORDER BY m.id;

-- needing_as_config --
SELECT m.id, m.digest, m.repository_id = $2 AND m.deleted_at IS NULL
FROM manifests m WHERE m.config_blob_id = $1 AND m.id > $3 ORDER BY m.id LIMIT $4;

-- Those that were pushed before the blob of digest $1.
-- waiting_for_blob --
SELECT m.id, m.digest FROM sparse_references s JOIN manifests m ON m.id = s.manifest_id
WHERE s.digest = $1 AND s.repository_id = $2 AND m.deleted_at IS NULL ORDER BY m.id LIMIT $3;

-- unlink_blob --
UPDATE repository_blobs SET deleted_at = $3 WHERE repository_id = $1 AND blob_id = $2 AND deleted_at IS NULL
RETURNING repository_id;

-- has_manifest --
SELECT 1 FROM repositories r JOIN manifests m ON m.repository_id = r.id
WHERE r.path = $1 AND m.digest = $2 AND m.deleted_at IS NULL;

-- known_manifests --
SELECT m.digest FROM manifests m
WHERE m.repository_id = (SELECT id FROM repositories WHERE path = $1) AND m.digest = ANY($2) AND m.deleted_at IS NULL;

-- manifest_by_digest --
SELECT m.digest, m.media_type, m.payload FROM repositories r JOIN manifests m ON m.repository_id = r.id
WHERE r.path = $1 AND m.digest = $2 AND m.deleted_at IS NULL;

-- manifest_by_tag --
SELECT m.digest, m.media_type, m.payload
FROM repositories r JOIN tags t ON t.repository_id = r.id JOIN manifests m ON m.id = t.manifest_id
WHERE r.path = $1 AND t.name = $2 AND m.deleted_at IS NULL;

-- is_populated --
SELECT 1 FROM repositories WHERE path = $1 AND populated_at IS NOT NULL;

-- hold_manifest --
SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2 AND deleted_at IS NULL;

-- Those that can be pulled and list the manifest $1 of digest $2 in the repository $3; and how many there are.
-- indexes_of_manifest --
SELECT digest, count(*) OVER () FROM (
    SELECT p.digest FROM manifest_references r JOIN manifests p ON p.id = r.parent_id
    WHERE r.child_id = $1 AND p.deleted_at IS NULL
    UNION
    SELECT p.digest FROM sparse_references s JOIN manifests p ON p.id = s.manifest_id
    WHERE s.digest = $2 AND s.repository_id = $3 AND p.deleted_at IS NULL
) AS parents ORDER BY digest LIMIT $4;

-- delete_manifest --
UPDATE manifests SET deleted_at = $2 WHERE id = $1;

-- delete_tags_of_manifest --
DELETE FROM tags WHERE manifest_id = $1 RETURNING name;

-- delete_tag --
DELETE FROM tags WHERE repository_id = $1 AND name = $2 RETURNING manifest_id;

-- digest_of_manifest --
SELECT digest FROM manifests WHERE id = $1;

-- write_journal --
INSERT INTO journal (at, request_id, actor, reason, action, repository_id, repository, tag, from_digest, to_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- repositories --
SELECT path FROM repositories WHERE populated_at IS NOT NULL AND path > $1 ORDER BY path LIMIT $2;

-- A subselect, not a join: PostgreSQL then walks the index in order and stops after the page.
-- tags --
SELECT name FROM tags
WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND name > $2 ORDER BY name LIMIT $3;

-- note_pulls --
INSERT INTO pull_facts (repository_id, tag, digest, pulls, last_pulled_at)
SELECT r.id, $2, $3, $4, $5 FROM repositories r WHERE r.path = $1
ON CONFLICT (repository_id, digest, tag) DO UPDATE SET
    pulls = pull_facts.pulls + excluded.pulls,
    last_pulled_at = CASE WHEN excluded.last_pulled_at > pull_facts.last_pulled_at
        THEN excluded.last_pulled_at ELSE pull_facts.last_pulled_at END;

-- note_upload --
INSERT INTO uploads (id, repository, started_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING;

-- forget_upload --
DELETE FROM uploads WHERE id = $1;

-- stale_uploads --
SELECT id, repository, started_at FROM uploads WHERE started_at < $1 ORDER BY started_at LIMIT $2;

-- needed_blob --
SELECT b.id FROM blobs b WHERE b.digest = $1 AND {blob_is_needed};
