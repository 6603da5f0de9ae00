-- review --
INSERT INTO gc_blob_review_queue (digest, review_after, event)
SELECT $1, now_us() + value, event FROM gc_review_after_defaults WHERE event = 'blob_upload'
ON CONFLICT (digest) DO NOTHING;
