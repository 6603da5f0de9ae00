-- Runs of 'moorage database import', as GitLab's statistics tell of them: each is noted when it begins, and again with
-- each of its phases, so that of one that was killed there is what it had begun.
CREATE TABLE import_statistics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at INTEGER NOT NULL,
    -- NULL: it goes on, or was killed.
    finished_at INTEGER,
    storage_driver TEXT NOT NULL,
    -- Of each phase when it began and ended, and why it failed; NULL in all three: it was not attempted.
    pre_import_started_at INTEGER,
    pre_import_finished_at INTEGER,
    pre_import_error TEXT,
    tag_import_started_at INTEGER,
    tag_import_finished_at INTEGER,
    tag_import_error TEXT,
    blob_import_started_at INTEGER,
    blob_import_finished_at INTEGER,
    blob_import_error TEXT,
    repositories_count INTEGER NOT NULL DEFAULT 0,
    tags_count INTEGER NOT NULL DEFAULT 0,
    manifests_count INTEGER NOT NULL DEFAULT 0,
    -- Of all bytes where blobs lie, also of those that nothing refers to.
    blobs_count INTEGER NOT NULL DEFAULT 0,
    blobs_size_bytes INTEGER NOT NULL DEFAULT 0
);
