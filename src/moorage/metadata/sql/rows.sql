-- Counts for metrics, under GitLab's names for them (the label query_name). Source: GitLab features MET-024.

-- gc_blob_review_queue --
SELECT count(*) FROM gc_blob_review_queue;

-- gc_manifest_review_queue --
SELECT count(*) FROM gc_manifest_review_queue;

-- gc_blob_review_queue_overdue --
SELECT count(*) FROM gc_blob_review_queue WHERE review_after < $1;

-- gc_manifest_review_queue_overdue --
SELECT count(*) FROM gc_manifest_review_queue WHERE review_after < $1;

-- applied_pre_migrations --
SELECT count(*) FROM moorage_migrations WHERE phase = 'pre-deployment';

-- applied_post_migrations --
SELECT count(*) FROM moorage_migrations WHERE phase = 'post-deployment';
