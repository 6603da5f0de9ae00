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
