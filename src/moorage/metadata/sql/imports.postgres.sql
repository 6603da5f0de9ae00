-- review --
INSERT INTO gc_blob_review_queue (digest, review_after, event)
VALUES ($1, gc_review_after_v1('blob_upload'), 'blob_upload') ON CONFLICT (digest) DO NOTHING;

-- look_at_tables --
ANALYZE blobs, repository_blobs, manifests, layers, tags;
