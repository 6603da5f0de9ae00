-- What an import of link files asks and writes. All of it may be done again.

-- has_tags --
SELECT 1 FROM tags LIMIT 1;

-- In the order of indexes, so that PostgreSQL does not read a table in the hope to meet one soon.
-- has_content --
SELECT 1 FROM repositories r WHERE r.path = $1 AND (
    (SELECT rb.blob_id FROM repository_blobs rb WHERE rb.repository_id = r.id ORDER BY rb.blob_id LIMIT 1) IS NOT NULL
    OR (SELECT m.digest FROM manifests m WHERE m.repository_id = r.id ORDER BY m.digest LIMIT 1) IS NOT NULL);

-- sizes_of_blobs --
SELECT digest, size FROM blobs WHERE digest = ANY($1) AND missing_since IS NULL;

-- Those that wait for something may have more by now: they are taken again.
-- whole_manifests --
SELECT m.digest FROM manifests m
WHERE m.repository_id = (SELECT id FROM repositories WHERE path = $1) AND m.digest = ANY($2) AND m.deleted_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM sparse_references s WHERE s.manifest_id = m.id);

-- needed_blobs --
SELECT b.digest FROM blobs b WHERE b.digest = ANY($1) AND {blob_is_needed};

-- queued_blobs --
SELECT digest FROM gc_blob_review_queue WHERE digest = ANY($1);

-- tags_between --
SELECT name FROM tags WHERE repository_id = (SELECT id FROM repositories WHERE path = $1)
    AND name > $2 AND name <= $3 ORDER BY name;

-- tags_after --
SELECT name FROM tags WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND name > $2 ORDER BY name;

-- manifests_between --
SELECT digest FROM manifests WHERE repository_id = (SELECT id FROM repositories WHERE path = $1)
    AND digest > $2 AND digest <= $3 AND deleted_at IS NULL ORDER BY digest;

-- page_of_blobs --
SELECT b.id, b.digest FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id
WHERE rb.repository_id = (SELECT id FROM repositories WHERE path = $1)
    AND rb.blob_id > $2 AND rb.deleted_at IS NULL ORDER BY rb.blob_id LIMIT $3;

-- page_of_repositories --
SELECT path FROM repositories WHERE path > $1 ORDER BY path LIMIT $2;

-- page_of_digests --
SELECT id, digest FROM manifests WHERE id > $1 ORDER BY id LIMIT $2;

-- row_counts --
SELECT (SELECT count(*) FROM repositories), (SELECT count(*) FROM tags), (SELECT count(*) FROM manifests),
    (SELECT count(*) FROM blobs), (SELECT count(*) FROM repository_blobs), (SELECT count(*) FROM layers),
    (SELECT count(*) FROM manifest_references);

-- take_namespace --
INSERT INTO top_level_namespaces (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- take_repository --
INSERT INTO repositories (top_level_namespace_id, path, created_at)
SELECT id, $2, $3 FROM top_level_namespaces WHERE name = $1 ON CONFLICT DO NOTHING;

-- repository_id --
SELECT id FROM repositories WHERE path = $1;

-- populate --
UPDATE repositories SET populated_at = $2 WHERE path = $1 AND populated_at IS NULL;

-- forget_repository --
UPDATE repositories SET populated_at = NULL WHERE path = $1;

-- take_blob --
INSERT INTO blobs (digest, size, created_at) VALUES ($1, $2, $3)
ON CONFLICT (digest) DO UPDATE SET missing_since = NULL WHERE blobs.missing_since IS NOT NULL;

-- take_link --
INSERT INTO repository_blobs (repository_id, blob_id, created_at) SELECT $1, id, $3 FROM blobs WHERE digest = $2
ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL WHERE repository_blobs.deleted_at IS NOT NULL;

-- annotations_size is written by a trigger in PostgreSQL, and is the same.
-- take_manifest --
INSERT INTO manifests (repository_id, digest, media_type, artifact_type, payload, size, total_size, config_blob_id,
    config_media_type, config_payload, subject_digest, annotations, annotations_size, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT b.id FROM blobs b
    JOIN repository_blobs rb ON rb.blob_id = b.id AND rb.repository_id = $1 WHERE b.digest = $8),
    $9, $10, $11, $12, $13, $14)
ON CONFLICT (repository_id, digest) DO UPDATE SET deleted_at = NULL, media_type = excluded.media_type,
    config_blob_id = coalesce(manifests.config_blob_id, excluded.config_blob_id),
    config_payload = coalesce(manifests.config_payload, excluded.config_payload);

-- ids_of_manifests --
SELECT digest, id FROM manifests WHERE repository_id = $1 AND digest = ANY($2) AND deleted_at IS NULL;

-- take_layer --
INSERT INTO layers (manifest_id, blob_id) SELECT $1, id FROM blobs WHERE digest = $2 ON CONFLICT DO NOTHING;

-- take_reference --
INSERT INTO manifest_references (parent_id, child_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- take_sparse --
INSERT INTO sparse_references (digest, repository_id, manifest_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- forget_sparse --
DELETE FROM sparse_references WHERE manifest_id = $1;

-- targets_of_tags --
SELECT t.name, t.id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
WHERE t.repository_id = $1 AND t.name = ANY($2);

-- take_tag --
INSERT INTO tags (repository_id, name, manifest_id, created_at, published_at) VALUES ($1, $2, $3, $4, $4);

-- move_tag --
UPDATE tags SET manifest_id = $2, updated_at = $3, published_at = $3 WHERE id = $1;

-- publish --
UPDATE repositories SET last_published_at = $2
WHERE id = $1 AND (last_published_at IS NULL OR last_published_at < $2);

-- drop_tag --
DELETE FROM tags WHERE repository_id = $1 AND name = $2;

-- tags_of_manifests --
SELECT t.name FROM tags t WHERE t.manifest_id = ANY($1);

-- drop_manifest --
UPDATE manifests SET deleted_at = $2 WHERE id = $1;

-- drop_link --
UPDATE repository_blobs SET deleted_at = $3 WHERE repository_id = $1 AND blob_id = $2 AND deleted_at IS NULL;
