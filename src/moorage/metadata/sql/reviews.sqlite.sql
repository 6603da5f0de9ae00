-- now --
SELECT now_us();

-- Indexes that list their own subject, where that has no tag: each may be there for the other alone.
-- review_circles --
INSERT INTO gc_manifest_review_queue (manifest_id, review_after, event)
SELECT m.id, now_us() + d.value, d.event FROM manifests s
JOIN manifest_references r ON r.child_id = s.id
JOIN manifests m ON m.id = r.parent_id AND m.subject_digest = s.digest
JOIN gc_review_after_defaults d ON d.event = 'tag_delete'
WHERE s.id = ANY($1) AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = s.id)
ON CONFLICT DO NOTHING;
