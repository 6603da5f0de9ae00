DROP TRIGGER gc_track_repository_blob_return;
DROP TRIGGER gc_track_manifest_removal;
CREATE TRIGGER gc_track_manifest_removal AFTER DELETE ON manifests BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    SELECT digest, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM blobs, gc_review_after_defaults
    WHERE id = OLD.config_blob_id AND event = 'manifest_delete'
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM manifests, gc_review_after_defaults
    WHERE repository_id = OLD.repository_id AND digest = OLD.subject_digest AND event = 'manifest_delete'
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

DROP TABLE sparse_references;
ALTER TABLE gc_manifest_review_queue DROP COLUMN last_error;
ALTER TABLE gc_blob_review_queue DROP COLUMN last_error;
ALTER TABLE gc_blob_review_queue DROP COLUMN claimed_until;
ALTER TABLE gc_blob_review_queue DROP COLUMN claimed_by;
ALTER TABLE gc_blob_review_queue DROP COLUMN life;
DROP INDEX blobs_missing;
ALTER TABLE blobs DROP COLUMN missing_since;
