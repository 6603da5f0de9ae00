-- review --
INSERT INTO gc_blob_review_queue (digest, review_after, event)
SELECT $1, now_us() + value, event FROM gc_review_after_defaults WHERE event = 'blob_upload'
ON CONFLICT (digest) DO NOTHING;

-- Nothing: its planner is told the order of each join, and averages would only mislead it.
-- look_at_tables --
SELECT 1;
