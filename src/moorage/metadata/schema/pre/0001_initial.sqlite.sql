-- Repositories, blobs, manifests, tags; the queues of garbage collection; leases; the journal; pull facts.
-- Names sort by their bytes, as every list of the registry does. Moments are microseconds since 1970, UTC.
-- Digests: one byte for the algorithm (01 sha256, 02 sha512), then the digest itself.

CREATE TABLE top_level_namespaces (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (length(name) <= 255),
    created_at INTEGER NOT NULL
);

-- Identity is the id; the path is an attribute that a rename changes.
CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    top_level_namespace_id INTEGER NOT NULL REFERENCES top_level_namespaces (id) ON DELETE CASCADE,
    path TEXT NOT NULL UNIQUE CHECK (length(path) <= 255),
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    populated_at INTEGER,
    last_published_at INTEGER
);
CREATE INDEX repositories_by_namespace ON repositories (top_level_namespace_id);
-- The catalogue: repositories that have, or had, a manifest.
CREATE UNIQUE INDEX repositories_populated ON repositories (path) WHERE populated_at IS NOT NULL;

CREATE TABLE blobs (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

-- A blob is visible in a repository only through its row here; deleted_at: taken out, can come back.
CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    blob_id INTEGER NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (repository_id, blob_id)
) WITHOUT ROWID;
CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob_id);

-- size: bytes of the payload; total_size: with what an image's descriptors say of its configuration and layers.
-- annotations: only with a subject, for lists of referrers. What may be large comes last: the rest is read without it.
CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    total_size INTEGER NOT NULL,
    config_blob_id INTEGER REFERENCES blobs (id),
    config_media_type TEXT,
    subject_digest BLOB,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    payload BLOB NOT NULL,
    config_payload BLOB,
    annotations TEXT,
    UNIQUE (repository_id, digest)
);
CREATE INDEX manifests_by_subject ON manifests (repository_id, subject_digest, digest) WHERE subject_digest IS NOT NULL;
CREATE INDEX manifests_by_config ON manifests (config_blob_id) WHERE config_blob_id IS NOT NULL;

CREATE TABLE layers (
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    blob_id INTEGER NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (manifest_id, blob_id)
) WITHOUT ROWID;
CREATE INDEX layers_by_blob ON layers (blob_id);

CREATE TABLE manifest_references (
    parent_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    child_id INTEGER NOT NULL REFERENCES manifests (id),
    PRIMARY KEY (parent_id, child_id),
    CHECK (parent_id <> child_id)
) WITHOUT ROWID;
CREATE INDEX manifest_references_by_child ON manifest_references (child_id);

CREATE TABLE tags (
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) <= 255),
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    published_at INTEGER NOT NULL,
    UNIQUE (repository_id, name)
);
CREATE INDEX tags_by_publication ON tags (repository_id, published_at, name);
CREATE INDEX tags_by_manifest ON tags (manifest_id);

-- Upload sessions that have lived longer than a moment; their bytes are in storage.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    started_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_by_start ON uploads (started_at);

-- One holder at a time may do what the name says, until expires_at.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What was done to tags, manifests and repositories: rows are added and never changed. No foreign keys: it outlives
-- what it tells of.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('tag_create', 'tag_move', 'tag_delete', 'manifest_create',
        'manifest_delete', 'manifest_restore', 'blob_delete', 'blob_restore', 'repository_rename')),
    repository_id INTEGER NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT,
    from_digest BLOB,
    to_digest BLOB,
    detail TEXT
);
CREATE INDEX journal_by_request ON journal (request_id, id);
CREATE INDEX journal_by_tag ON journal (repository_id, tag, id);
CREATE INDEX journal_by_repository ON journal (repository_id, id);

-- How often, and when last, a manifest was pulled by a tag ('' : by its digest).
CREATE TABLE pull_facts (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    digest BLOB NOT NULL,
    pulls INTEGER NOT NULL,
    last_pulled_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest, tag)
) WITHOUT ROWID;
CREATE INDEX pull_facts_by_tag ON pull_facts (repository_id, tag);

-- How long after an event garbage collection looks at what it concerns.
CREATE TABLE gc_review_after_defaults (
    event TEXT PRIMARY KEY,
    value INTEGER NOT NULL -- microseconds
) WITHOUT ROWID;
INSERT INTO gc_review_after_defaults (event, value) VALUES
    ('blob_upload', 86400000000), ('blob_delete', 86400000000), ('manifest_upload', 86400000000),
    ('manifest_delete', 86400000000), ('layer_delete', 86400000000), ('manifest_list_delete', 86400000000),
    ('tag_delete', 86400000000), ('tag_switch', 86400000000);

-- By digest: the row is written before the bytes are where blobs are, and before there is a row in blobs.
CREATE TABLE gc_blob_review_queue (
    digest BLOB PRIMARY KEY,
    review_after INTEGER NOT NULL,
    review_count INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    event TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX gc_blob_review_queue_by_time ON gc_blob_review_queue (review_after);

CREATE TABLE gc_manifest_review_queue (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    review_after INTEGER NOT NULL,
    review_count INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    event TEXT NOT NULL
);
CREATE INDEX gc_manifest_review_queue_by_time ON gc_manifest_review_queue (review_after);

CREATE TRIGGER gc_track_manifest_upload AFTER INSERT ON manifests BEGIN
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM manifests, gc_review_after_defaults
    WHERE id = NEW.id AND event = 'manifest_upload'
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

CREATE TRIGGER gc_track_manifest_change AFTER UPDATE OF deleted_at ON manifests BEGIN
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM manifests, gc_review_after_defaults
    WHERE id = NEW.id AND event = CASE WHEN NEW.deleted_at IS NULL THEN 'manifest_upload' ELSE 'manifest_delete' END
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

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

CREATE TRIGGER gc_track_tag_removal AFTER DELETE ON tags BEGIN
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM manifests, gc_review_after_defaults
    WHERE id = OLD.manifest_id AND event = 'tag_delete'
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

CREATE TRIGGER gc_track_tag_switch AFTER UPDATE OF manifest_id ON tags WHEN NEW.manifest_id <> OLD.manifest_id BEGIN
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM manifests, gc_review_after_defaults
    WHERE id = OLD.manifest_id AND event = 'tag_switch'
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

CREATE TRIGGER gc_track_layer AFTER DELETE ON layers BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    SELECT digest, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM blobs, gc_review_after_defaults
    WHERE id = OLD.blob_id AND event = 'layer_delete'
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

CREATE TRIGGER gc_track_reference AFTER DELETE ON manifest_references BEGIN
    INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
    SELECT id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM manifests, gc_review_after_defaults
    WHERE id = OLD.child_id AND event = 'manifest_list_delete'
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

CREATE TRIGGER gc_track_repository_blob AFTER UPDATE OF deleted_at ON repository_blobs WHEN NEW.deleted_at IS NOT NULL BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    SELECT digest, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM blobs, gc_review_after_defaults
    WHERE id = OLD.blob_id AND event = 'blob_delete'
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;

CREATE TRIGGER gc_track_repository_blob_removal AFTER DELETE ON repository_blobs BEGIN
    INSERT INTO gc_blob_review_queue (digest, review_after, event)
    SELECT digest, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER) + value, event FROM blobs, gc_review_after_defaults
    WHERE id = OLD.blob_id AND event = 'blob_delete'
    ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event;
END;
