-- What SQLite does step by step, inside one transaction, where PostgreSQL has a function.

-- expect_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event)
SELECT $1, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event
FROM gc_review_after_defaults WHERE event = 'blob_upload'
ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;

-- lock_repository --
SELECT id FROM repositories WHERE path = $1;

-- repository --
SELECT id, populated_at FROM repositories WHERE path = $1;

-- add_namespace --
INSERT INTO top_level_namespaces (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- add_repository --
INSERT INTO repositories (top_level_namespace_id, path, created_at)
SELECT id, $2, $3 FROM top_level_namespaces WHERE name = $1 RETURNING id;

-- populate_repository --
UPDATE repositories SET populated_at = $2 WHERE id = $1;

-- publish_repository --
UPDATE repositories SET last_published_at = $2 WHERE id = $1;

-- add_blob --
INSERT INTO blobs (digest, size, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- add_link --
INSERT INTO repository_blobs (repository_id, blob_id, created_at) SELECT $1, id, $3 FROM blobs WHERE digest = $2
ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL;

-- stored_manifest --
SELECT id, deleted_at FROM manifests WHERE repository_id = $1 AND digest = $2;

-- revive_manifest --
UPDATE manifests SET deleted_at = NULL, media_type = $2 WHERE id = $1;

-- add_manifest --
INSERT INTO manifests (repository_id, digest, media_type, artifact_type, payload, size, total_size, config_blob_id,
    config_media_type, config_payload, subject_digest, annotations, created_at)
VALUES ($1, $2, $3, $4, $5, length($5), $6, (SELECT id FROM blobs WHERE digest = $7), $8, $9, $10, $11, $12)
RETURNING id;

-- add_layers --
INSERT INTO layers (manifest_id, blob_id) SELECT $1, id FROM blobs WHERE digest = ANY($2) ON CONFLICT DO NOTHING;

-- add_references --
INSERT INTO manifest_references (parent_id, child_id)
SELECT $1, id FROM manifests WHERE repository_id = $2 AND digest = ANY($3) AND id <> $1 ON CONFLICT DO NOTHING;

-- tag_target --
SELECT t.id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.repository_id = $1 AND t.name = $2;

-- add_tag --
INSERT INTO tags (repository_id, name, manifest_id, created_at, published_at) VALUES ($1, $2, $3, $4, $4);

-- move_tag --
UPDATE tags SET manifest_id = $2, updated_at = $3, published_at = $3 WHERE id = $1;
