-- Online garbage collection: who works on which blob, what sparse manifests wait for, whose bytes are missing.

-- Its bytes were found missing or damaged then; as good as not there until it is pushed again.
ALTER TABLE blobs ADD COLUMN missing_since INTEGER;
CREATE INDEX blobs_missing ON blobs (id) WHERE missing_since IS NOT NULL;

-- Another number for each time that the row comes to be, and for each claim: a push can tell whether its own was there all
-- the time, and nobody could remove the bytes.
ALTER TABLE gc_blob_review_queue ADD COLUMN life INTEGER NOT NULL DEFAULT 0;
-- Who is removing the blob.
ALTER TABLE gc_blob_review_queue ADD COLUMN claimed_by TEXT;
-- Until when nobody else touches its bytes.
ALTER TABLE gc_blob_review_queue ADD COLUMN claimed_until INTEGER;
-- Why the last attempt failed.
ALTER TABLE gc_blob_review_queue ADD COLUMN last_error TEXT;
-- Why the last attempt failed.
ALTER TABLE gc_manifest_review_queue ADD COLUMN last_error TEXT;

-- What a manifest names and the registry did not have when it was pushed: blobs and manifests that may come later.
CREATE TABLE sparse_references (
    digest BLOB NOT NULL,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    PRIMARY KEY (digest, repository_id, manifest_id)
) WITHOUT ROWID;
CREATE INDEX sparse_references_by_manifest ON sparse_references (manifest_id);

CREATE TRIGGER gc_track_sparse_reference AFTER DELETE ON sparse_references BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    SELECT digest, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event
    FROM blobs, gc_review_after_defaults WHERE digest = OLD.digest AND event = 'layer_delete'
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event
    FROM manifests, gc_review_after_defaults
    WHERE repository_id = OLD.repository_id AND digest = OLD.digest AND event = 'manifest_list_delete'
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

-- Referrers hang on their subject, so it is they that are looked at when it goes; a subject hangs on none of them.
DROP TRIGGER gc_track_manifest_removal;
CREATE TRIGGER gc_track_manifest_removal AFTER DELETE ON manifests BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    SELECT digest, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event
    FROM blobs, gc_review_after_defaults WHERE id = OLD.config_blob_id AND event = 'manifest_delete'
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event
    FROM manifests, gc_review_after_defaults
    WHERE repository_id = OLD.repository_id AND subject_digest = OLD.digest AND event = 'manifest_delete'
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

-- A blob that is back in a repository is as new as one that was pushed.
CREATE TRIGGER gc_track_repository_blob_return AFTER UPDATE OF deleted_at ON repository_blobs
WHEN NEW.deleted_at IS NULL AND OLD.deleted_at IS NOT NULL BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    SELECT digest, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event
    FROM blobs, gc_review_after_defaults WHERE id = OLD.blob_id AND event = 'blob_upload'
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;
