-- What a push does is planned once by each session, and not each time.

-- Not in SQL: such a function is parsed and planned anew by each statement that calls it, and one in PL/pgSQL by each
-- session.
CREATE OR REPLACE FUNCTION gc_review_after_v1(wanted text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN now() + coalesce((SELECT value FROM gc_review_after_defaults WHERE event = wanted), 86400000000)
        * interval '1 microsecond';
END $$;

CREATE OR REPLACE FUNCTION gc_review_blob_v1(wanted_digest bytea, wanted_event text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
        VALUES (wanted_digest, gc_review_after_v1(wanted_event), wanted_event)
        ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END $$;

CREATE OR REPLACE FUNCTION gc_review_manifest_v1(wanted_id bigint, wanted_event text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
        SELECT id, gc_review_after_v1(wanted_event), wanted_event FROM manifests WHERE id = wanted_id
        ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END $$;

-- As link_placed_blob_v1, but it gives back whether the size is as it was noted before; null if the blob was not linked:
-- there have been more removals since, or it is claimed, so that the bytes may be gone.
CREATE FUNCTION link_placed_blob_v2(p_path text, p_digest bytea, p_size bigint, p_life bigint, p_now timestamptz,
    p_removals bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_blob bigint;
    v_size bigint := p_size;
BEGIN
    IF EXISTS (SELECT 1 FROM gc_blob_review_queue WHERE digest = p_digest AND claimed_by IS NOT NULL)
            OR (SELECT number FROM gc_blob_removals) <> p_removals THEN
        RETURN NULL;
    END IF;
    INSERT INTO blobs (digest, size, created_at) VALUES (p_digest, p_size, p_now)
        ON CONFLICT (digest) DO NOTHING RETURNING id INTO v_blob;
    IF FOUND THEN
        -- Nobody else knows the blob's number yet: no repository can have it.
        INSERT INTO repository_blobs (repository_id, blob_id, created_at)
            VALUES (ensure_repository_v1(p_path, p_now), v_blob, p_now);
    ELSE
        SELECT id, size INTO v_blob, v_size FROM blobs WHERE digest = p_digest AND missing_since IS NULL FOR KEY SHARE;
        IF NOT FOUND THEN
            UPDATE blobs SET missing_since = NULL WHERE digest = p_digest RETURNING id, size INTO v_blob, v_size;
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'garbage collection came between' USING ERRCODE = 'serialization_failure';
        END IF;
        INSERT INTO repository_blobs (repository_id, blob_id, created_at)
            VALUES (ensure_repository_v1(p_path, p_now), v_blob, p_now)
            ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL
                WHERE repository_blobs.deleted_at IS NOT NULL;
    END IF;
    -- Last, as triggers come to the queue last: whoever holds a row of it waits for nothing else.
    INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
        VALUES (p_digest, gc_review_after_v1('blob_upload'), 'blob_upload', p_life)
        ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event,
            review_count = 0, last_error = NULL
        WHERE gc_blob_review_queue.claimed_by IS NULL;
    -- From here on nobody can claim it; whoever has done so and ended it meanwhile is counted.
    IF NOT FOUND OR (SELECT number FROM gc_blob_removals) <> p_removals THEN
        RAISE EXCEPTION 'garbage collection came between' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN v_size = p_size;
END $$;

-- Returns what is required and not there: then nothing was written. Plans are kept, where for its lists there would be
-- new ones each time; and each digest of a list is looked up by itself, so that a plan that was made while tables were
-- empty is good when they are full.
CREATE OR REPLACE FUNCTION put_manifest_v2(p_path text, p_digest bytea, p_media_type text, p_artifact_type text,
    p_payload bytea, p_total_size bigint, p_config bytea, p_config_media_type text, p_config_payload bytea, p_subject bytea,
    p_annotations text, p_blobs bytea[], p_children bytea[], p_tags text[], p_required bytea[], p_now timestamptz,
    p_request_id text, p_actor text, p_reason text) RETURNS bytea[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_repository bigint;
    v_missing bytea[];
    v_manifest bigint;
    v_deleted_at timestamptz;
    v_action text;
    v_tag text;
    v_loose bytea[];
BEGIN
    LOOP
        -- Whoever changes tags holds the repository first, so that two never wait for each other in a circle. It costs
        -- nothing: last_published_at would hold it until the end, too. Without tags, only a rename has to wait.
        IF cardinality(p_tags) > 0 THEN
            SELECT id INTO v_repository FROM repositories WHERE path = p_path FOR NO KEY UPDATE;
        ELSE
            SELECT id INTO v_repository FROM repositories WHERE path = p_path FOR KEY SHARE;
        END IF;
        EXIT WHEN FOUND;
        IF cardinality(p_required) > 0 THEN
            RETURN p_required;
        END IF;
        PERFORM ensure_repository_v1(p_path, p_now);
    END LOOP;
    -- What is referred to is held before anybody looks whether it is there: garbage collection has either taken it by
    -- then, or cannot until this transaction has ended.
    PERFORM 1 FROM unnest(p_blobs || p_config) AS wanted
        CROSS JOIN LATERAL (SELECT 1 FROM blobs WHERE digest = wanted FOR KEY SHARE) AS held;
    IF cardinality(p_children) > 0 THEN
        PERFORM 1 FROM unnest(p_children) AS wanted CROSS JOIN LATERAL (
            SELECT 1 FROM manifests WHERE repository_id = v_repository AND digest = wanted FOR KEY SHARE) AS held;
    END IF;
    SELECT coalesce(array_agg(wanted), '{}') INTO v_missing FROM unnest(p_required) AS wanted
        WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = wanted AND b.missing_since IS NULL AND EXISTS (
                SELECT 1 FROM repository_blobs rb
                WHERE rb.repository_id = v_repository AND rb.blob_id = b.id AND rb.deleted_at IS NULL LIMIT 1 OFFSET 0)
                LIMIT 1 OFFSET 0)
            AND NOT EXISTS (SELECT 1 FROM manifests m
                WHERE m.repository_id = v_repository AND m.digest = wanted AND m.deleted_at IS NULL LIMIT 1 OFFSET 0);
    IF cardinality(v_missing) > 0 THEN
        RETURN v_missing;
    END IF;
    UPDATE repositories SET populated_at = p_now WHERE id = v_repository AND populated_at IS NULL;
    LOOP
        SELECT id, deleted_at INTO v_manifest, v_deleted_at FROM manifests
            WHERE repository_id = v_repository AND digest = p_digest FOR NO KEY UPDATE;
        IF FOUND THEN
            v_action := CASE WHEN v_deleted_at IS NULL THEN NULL ELSE 'manifest_restore' END;
            -- One that is the same is not written again: the column then stays the value it was.
            UPDATE manifests SET deleted_at = NULL, media_type = p_media_type,
                payload = CASE WHEN payload = p_payload THEN payload ELSE p_payload END,
                config_blob_id = coalesce(config_blob_id, (SELECT b.id FROM blobs b JOIN repository_blobs rb
                    ON rb.blob_id = b.id AND rb.repository_id = v_repository WHERE b.digest = p_config))
                WHERE id = v_manifest;
            EXIT;
        END IF;
        INSERT INTO manifests (repository_id, digest, media_type, artifact_type, payload, size, total_size,
                config_blob_id, config_media_type, config_payload, subject_digest, annotations, created_at)
            SELECT v_repository, p_digest, p_media_type, p_artifact_type, p_payload, length(p_payload), p_total_size,
                (SELECT b.id FROM blobs b JOIN repository_blobs rb
                    ON rb.blob_id = b.id AND rb.repository_id = v_repository WHERE b.digest = p_config),
                p_config_media_type, p_config_payload, p_subject, p_annotations, p_now
            ON CONFLICT DO NOTHING RETURNING id INTO v_manifest;
        v_action := 'manifest_create';
        EXIT WHEN FOUND;
    END LOOP;
    -- Of the repository: of blobs that only others have nobody learns here, nor keeps them.
    INSERT INTO layers (manifest_id, blob_id)
        SELECT v_manifest, own.id FROM unnest(p_blobs) AS wanted CROSS JOIN LATERAL (
            SELECT b.id FROM blobs b WHERE b.digest = wanted AND EXISTS (
                SELECT 1 FROM repository_blobs rb WHERE rb.repository_id = v_repository AND rb.blob_id = b.id
                LIMIT 1 OFFSET 0)
            OFFSET 0) AS own
        ON CONFLICT DO NOTHING;
    IF cardinality(p_children) > 0 THEN
        INSERT INTO manifest_references (parent_id, child_id)
            SELECT v_manifest, child.id FROM unnest(p_children) AS wanted CROSS JOIN LATERAL (
                SELECT id FROM manifests WHERE repository_id = v_repository AND digest = wanted AND id <> v_manifest
                OFFSET 0) AS child
            ON CONFLICT DO NOTHING;
    END IF;
    -- What was not required may be absent; it is needed all the same once it comes. It may have come since the
    -- statements above: absent is what they did not write.
    IF NOT (p_blobs || p_children || p_config) <@ p_required THEN
        v_loose := ARRAY(SELECT unnest(p_blobs || p_children || p_config) EXCEPT SELECT unnest(p_required));
        DELETE FROM sparse_references WHERE manifest_id = v_manifest;
        INSERT INTO sparse_references (digest, repository_id, manifest_id)
            SELECT wanted, v_repository, v_manifest FROM unnest(v_loose) AS wanted
            WHERE wanted IS NOT NULL AND wanted <> p_digest
                AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = wanted AND EXISTS (
                    SELECT 1 FROM layers l WHERE l.manifest_id = v_manifest AND l.blob_id = b.id LIMIT 1 OFFSET 0)
                    LIMIT 1 OFFSET 0)
                AND NOT EXISTS (SELECT 1 FROM manifests m JOIN blobs b ON b.id = m.config_blob_id
                    WHERE m.id = v_manifest AND b.digest = wanted LIMIT 1 OFFSET 0)
                AND NOT EXISTS (SELECT 1 FROM manifests c
                    WHERE c.repository_id = v_repository AND c.digest = wanted AND EXISTS (
                    SELECT 1 FROM manifest_references r WHERE r.parent_id = v_manifest AND r.child_id = c.id
                    LIMIT 1 OFFSET 0) LIMIT 1 OFFSET 0)
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
