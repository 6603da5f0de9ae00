DROP FUNCTION link_placed_blob_v2;

CREATE OR REPLACE FUNCTION gc_review_after_v1(wanted text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT now() + coalesce((SELECT value FROM gc_review_after_defaults WHERE event = wanted), 86400000000)
        * interval '1 microsecond'
$$;

CREATE OR REPLACE FUNCTION gc_review_blob_v1(wanted_digest bytea, wanted_event text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    VALUES (wanted_digest, gc_review_after_v1(wanted_event), wanted_event)
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
$$;

CREATE OR REPLACE FUNCTION gc_review_manifest_v1(wanted_id bigint, wanted_event text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, gc_review_after_v1(wanted_event), wanted_event FROM manifests WHERE id = wanted_id
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
$$;

-- Returns what is required and not there: then nothing was written.
CREATE OR REPLACE FUNCTION put_manifest_v2(p_path text, p_digest bytea, p_media_type text, p_artifact_type text, p_payload bytea,
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
    v_loose bytea[];
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
    -- What is referred to is held before anybody looks whether it is there: garbage collection has either taken it by
    -- then, or cannot until this transaction has ended.
    PERFORM 1 FROM blobs WHERE digest = ANY (p_blobs || p_config) ORDER BY id FOR KEY SHARE;
    PERFORM 1 FROM manifests WHERE repository_id = v_repository AND digest = ANY (p_children) ORDER BY id FOR KEY SHARE;
    SELECT coalesce(array_agg(wanted), '{}') INTO v_missing FROM unnest(p_required) AS wanted
        WHERE NOT EXISTS (SELECT 1 FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id
                WHERE b.digest = wanted AND b.missing_since IS NULL
                    AND rb.repository_id = v_repository AND rb.deleted_at IS NULL)
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
        SELECT v_manifest, b.id FROM blobs b JOIN repository_blobs rb
            ON rb.blob_id = b.id AND rb.repository_id = v_repository
        WHERE b.digest = ANY (p_blobs) ON CONFLICT DO NOTHING;
    IF cardinality(p_children) > 0 THEN
        INSERT INTO manifest_references (parent_id, child_id)
            SELECT v_manifest, id FROM manifests
            WHERE repository_id = v_repository AND digest = ANY (p_children) AND id <> v_manifest
            ON CONFLICT DO NOTHING;
    END IF;
    -- What was not required may be absent; it is needed all the same once it comes. It may have come since the
    -- statements above: absent is what they did not write.
    v_loose := ARRAY(SELECT unnest(p_blobs || p_children || p_config) EXCEPT SELECT unnest(p_required));
    IF cardinality(v_loose) > 0 THEN
        DELETE FROM sparse_references WHERE manifest_id = v_manifest;
        INSERT INTO sparse_references (digest, repository_id, manifest_id)
            SELECT wanted, v_repository, v_manifest FROM unnest(v_loose) AS wanted
            WHERE wanted IS NOT NULL AND wanted <> p_digest
                AND NOT EXISTS (SELECT 1 FROM layers l JOIN blobs b ON b.id = l.blob_id
                    WHERE l.manifest_id = v_manifest AND b.digest = wanted)
                AND NOT EXISTS (SELECT 1 FROM manifests m JOIN blobs b ON b.id = m.config_blob_id
                    WHERE m.id = v_manifest AND b.digest = wanted)
                AND NOT EXISTS (SELECT 1 FROM manifest_references r JOIN manifests c ON c.id = r.child_id
                    WHERE r.parent_id = v_manifest AND c.digest = wanted)
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
