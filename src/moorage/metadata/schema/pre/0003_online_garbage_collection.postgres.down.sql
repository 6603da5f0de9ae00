DROP FUNCTION put_manifest_v2;
DROP FUNCTION link_blob_v2;
CREATE OR REPLACE FUNCTION gc_track_manifest_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM gc_review_manifest_v1(NEW.id, 'manifest_upload');
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM gc_review_manifest_v1(NEW.id,
            CASE WHEN NEW.deleted_at IS NULL THEN 'manifest_upload' ELSE 'manifest_delete' END);
    ELSE
        PERFORM gc_review_blob_v1(digest, 'manifest_delete') FROM blobs WHERE id = OLD.config_blob_id;
        PERFORM gc_review_manifest_v1(id, 'manifest_delete') FROM manifests
            WHERE repository_id = OLD.repository_id AND digest = OLD.subject_digest;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION gc_track_repository_blob_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.deleted_at IS NOT NULL THEN
        PERFORM gc_review_blob_v1(digest, 'blob_delete') FROM blobs WHERE id = OLD.blob_id;
    END IF;
    RETURN NULL;
END $$;

DROP TABLE sparse_references;
DROP FUNCTION gc_track_sparse_reference_v1();
ALTER TABLE gc_manifest_review_queue DROP COLUMN last_error;
ALTER TABLE gc_blob_review_queue DROP COLUMN life, DROP COLUMN claimed_by,
    DROP COLUMN claimed_until, DROP COLUMN last_error;
ALTER TABLE blobs DROP COLUMN missing_since;

-- p_size null: only a blob that is known is linked. Returns whether it was linked.
CREATE FUNCTION link_blob_v1(p_path text, p_digest bytea, p_size bigint, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_blob bigint;
BEGIN
    IF p_size IS NOT NULL THEN
        INSERT INTO blobs (digest, size, created_at) VALUES (p_digest, p_size, p_now) ON CONFLICT DO NOTHING;
    END IF;
    SELECT id INTO v_blob FROM blobs WHERE digest = p_digest FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO repository_blobs (repository_id, blob_id, created_at)
        VALUES (ensure_repository_v1(p_path, p_now), v_blob, p_now)
        ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL;
    RETURN true;
END $$;

-- Returns what is required and not there: then nothing was written.
CREATE FUNCTION put_manifest_v1(p_path text, p_digest bytea, p_media_type text, p_artifact_type text, p_payload bytea,
    p_total_size bigint, p_config bytea, p_config_media_type text, p_config_payload bytea, p_subject bytea,
    p_annotations text, p_blobs bytea[], p_children bytea[], p_tags text[], p_required bytea[], p_now timestamptz,
    p_request_id text, p_actor text, p_reason text) RETURNS bytea[] LANGUAGE plpgsql AS $$
DECLARE
    v_repository bigint;
    v_missing bytea[];
    v_manifest bigint;
    v_deleted_at timestamptz;
    v_action text;
    v_tag text;
BEGIN
    LOOP
        IF NOT EXISTS (SELECT 1 FROM repositories WHERE path = p_path) THEN
            IF cardinality(p_required) > 0 THEN
                RETURN p_required;
            END IF;
            PERFORM ensure_repository_v1(p_path, p_now);
        END IF;
        -- Whoever changes tags holds the repository first, so that two never wait for each other in a circle. It costs
        -- nothing: last_published_at would hold it until the end, too. Without tags, only a rename has to wait.
        IF cardinality(p_tags) > 0 THEN
            SELECT id INTO v_repository FROM repositories WHERE path = p_path FOR NO KEY UPDATE;
        ELSE
            SELECT id INTO v_repository FROM repositories WHERE path = p_path FOR KEY SHARE;
        END IF;
        EXIT WHEN FOUND;
    END LOOP;
    SELECT coalesce(array_agg(wanted), '{}') INTO v_missing FROM unnest(p_required) AS wanted
        WHERE NOT EXISTS (SELECT 1 FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id
                WHERE b.digest = wanted AND rb.repository_id = v_repository AND rb.deleted_at IS NULL)
            AND NOT EXISTS (SELECT 1 FROM manifests m
                WHERE m.repository_id = v_repository AND m.digest = wanted AND m.deleted_at IS NULL);
    IF cardinality(v_missing) > 0 THEN
        RETURN v_missing;
    END IF;
    UPDATE repositories SET populated_at = p_now WHERE id = v_repository AND populated_at IS NULL;
    LOOP
        SELECT id, deleted_at INTO v_manifest, v_deleted_at FROM manifests
            WHERE repository_id = v_repository AND digest = p_digest FOR NO KEY UPDATE;
        IF FOUND THEN
            v_action := CASE WHEN v_deleted_at IS NULL THEN NULL ELSE 'manifest_restore' END;
            UPDATE manifests SET deleted_at = NULL, media_type = p_media_type WHERE id = v_manifest;
            EXIT;
        END IF;
        INSERT INTO manifests (repository_id, digest, media_type, artifact_type, payload, size, total_size,
                config_blob_id, config_media_type, config_payload, subject_digest, annotations, created_at)
            SELECT v_repository, p_digest, p_media_type, p_artifact_type, p_payload, length(p_payload), p_total_size,
                (SELECT id FROM blobs WHERE digest = p_config), p_config_media_type, p_config_payload, p_subject,
                p_annotations, p_now
            ON CONFLICT DO NOTHING RETURNING id INTO v_manifest;
        v_action := 'manifest_create';
        EXIT WHEN FOUND;
    END LOOP;
    INSERT INTO layers (manifest_id, blob_id) SELECT v_manifest, id FROM blobs WHERE digest = ANY (p_blobs)
        ON CONFLICT DO NOTHING;
    IF cardinality(p_children) > 0 THEN
        INSERT INTO manifest_references (parent_id, child_id)
            SELECT v_manifest, id FROM manifests
            WHERE repository_id = v_repository AND digest = ANY (p_children) AND id <> v_manifest
            ON CONFLICT DO NOTHING;
    END IF;
    IF v_action IS NOT NULL THEN
        INSERT INTO journal (at, request_id, actor, reason, action, repository_id, repository, to_digest)
            VALUES (p_now, p_request_id, p_actor, p_reason, v_action, v_repository, p_path, p_digest);
    END IF;
    FOREACH v_tag IN ARRAY p_tags LOOP
        PERFORM point_tag_v1(v_repository, p_path, v_tag, v_manifest, p_digest, p_now, p_request_id, p_actor, p_reason);
    END LOOP;
    RETURN '{}';
END $$;
