-- Blobs of file systems are linked without having been expected.

-- p_size: of the bytes, which have their place. p_life: a number for the row of the queue, if none is there. False while
-- garbage collection is at the blob; otherwise it lets the bytes alone from now on for the delay of a push.
CREATE FUNCTION link_placed_blob_v1(p_path text, p_digest bytea, p_size bigint, p_life bigint, p_now timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_blob bigint;
BEGIN
    IF EXISTS (SELECT 1 FROM gc_blob_review_queue WHERE digest = p_digest AND claimed_until > now()) THEN
        RETURN false;
    END IF;
    INSERT INTO blobs (digest, size, created_at) VALUES (p_digest, p_size, p_now)
        ON CONFLICT (digest) DO UPDATE SET missing_since = NULL WHERE blobs.missing_since IS NOT NULL
        RETURNING id INTO v_blob;
    IF NOT FOUND THEN
        SELECT id INTO v_blob FROM blobs WHERE digest = p_digest AND missing_since IS NULL FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'garbage collection came between' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    INSERT INTO repository_blobs (repository_id, blob_id, created_at)
        VALUES (ensure_repository_v1(p_path, p_now), v_blob, p_now)
        ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL
            WHERE repository_blobs.deleted_at IS NOT NULL;
    -- Last, as triggers come to the queue last: whoever holds a row of it waits for nothing else.
    INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
        VALUES (p_digest, gc_review_after_v1('blob_upload'), 'blob_upload', p_life)
        ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event,
            review_count = 0, last_error = NULL, claimed_by = NULL, claimed_until = NULL
        WHERE gc_blob_review_queue.claimed_until IS NULL OR gc_blob_review_queue.claimed_until <= now();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'garbage collection came between' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END $$;
