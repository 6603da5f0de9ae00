-- Blobs of file systems are linked without having been expected.

-- One row: how many times garbage collection has removed blobs, or has tried to, up to the end of their claims.
CREATE TABLE gc_blob_removals (
    -- Larger each time.
    number bigint NOT NULL
);
INSERT INTO gc_blob_removals VALUES (0);

-- p_size: of the bytes, which have their place. p_life: a number for the row of the queue, if none is there. p_removals:
-- how many there had been before the bytes got their place. False if there have been more since, or the blob is claimed:
-- the bytes may be gone. Otherwise garbage collection lets them alone from now on for the delay of a push.
CREATE FUNCTION link_placed_blob_v1(p_path text, p_digest bytea, p_size bigint, p_life bigint, p_now timestamptz,
    p_removals bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_blob bigint;
BEGIN
    IF EXISTS (SELECT 1 FROM gc_blob_review_queue WHERE digest = p_digest AND claimed_by IS NOT NULL)
            OR (SELECT number FROM gc_blob_removals) <> p_removals THEN
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
            review_count = 0, last_error = NULL
        WHERE gc_blob_review_queue.claimed_by IS NULL;
    -- From here on nobody can claim it; whoever has done so and ended it meanwhile is counted.
    IF NOT FOUND OR (SELECT number FROM gc_blob_removals) <> p_removals THEN
        RAISE EXCEPTION 'garbage collection came between' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END $$;
