-- What several files of queries say: what garbage collection leaves (ADR 0016), and what a manifest still waits for.

-- Of a blob b: whatever a row of a manifest refers to is needed, deleted or not: as long as it is there it can come back.
-- blob_is_needed --
(
    EXISTS (SELECT 1 FROM layers l WHERE l.blob_id = b.id)
    OR EXISTS (SELECT 1 FROM manifests m WHERE m.config_blob_id = b.id)
    OR EXISTS (SELECT 1 FROM sparse_references s
        JOIN repository_blobs rb ON rb.repository_id = s.repository_id AND rb.blob_id = b.id
        WHERE s.digest = b.digest)
);

-- Of a manifest m: it stays for a tag, for an index that lists it, and for its subject, unless it was itself deleted.
-- manifest_is_needed --
(
    EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
    OR EXISTS (SELECT 1 FROM manifest_references r WHERE r.child_id = m.id)
    OR EXISTS (SELECT 1 FROM sparse_references s WHERE s.digest = m.digest AND s.repository_id = m.repository_id)
    OR (m.deleted_at IS NULL AND EXISTS (SELECT 1 FROM manifests s
        WHERE s.repository_id = m.repository_id AND s.digest = m.subject_digest
            -- Unless the subject is there only because this index lists it, and nobody is about to look at it.
            AND (NOT EXISTS (SELECT 1 FROM manifest_references r WHERE r.parent_id = m.id AND r.child_id = s.id)
                OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = s.id)
                OR EXISTS (SELECT 1 FROM manifest_references r WHERE r.child_id = s.id AND r.parent_id <> m.id)
                OR EXISTS (SELECT 1 FROM sparse_references p
                    WHERE p.digest = s.digest AND p.repository_id = s.repository_id)
                OR EXISTS (SELECT 1 FROM manifests o
                    WHERE o.repository_id = s.repository_id AND o.digest = s.subject_digest)
                OR EXISTS (SELECT 1 FROM gc_manifest_review_queue q WHERE q.manifest_id = s.id)))));

-- That nothing is noted yet of the digest $1 as a part of the manifest $3.
-- is_unrelated --
(
    NOT EXISTS (SELECT 1 FROM layers l JOIN blobs b ON b.id = l.blob_id WHERE l.manifest_id = $3 AND b.digest = $1)
    AND NOT EXISTS (SELECT 1 FROM manifests m JOIN blobs b ON b.id = m.config_blob_id
        WHERE m.id = $3 AND b.digest = $1)
    AND NOT EXISTS (SELECT 1 FROM manifest_references r JOIN manifests c ON c.id = r.child_id
        WHERE r.parent_id = $3 AND c.digest = $1)
);

-- Blobs b of the repository $2, deleted from it or not; of others nobody learns here, nor keeps them. CROSS JOIN fixes
-- SQLite's order: for a list of digests it would read all blobs of the repository. More conditions follow with AND.
-- blobs_of_the_repository --
blobs b CROSS JOIN repository_blobs rb WHERE rb.repository_id = $2 AND rb.blob_id = b.id;

-- That no link files are being taken over: what they need looks as if nobody did, so nothing may be collected (ADR 98).
-- nothing_is_adopted --
(NOT EXISTS (SELECT 1 FROM adoption_progress a WHERE a.ended_at IS NULL));

-- Of a repository r. A subselect with a value, not EXISTS: PostgreSQL would gather the repositories of all tags first.
-- And in the order of an index: else it may hope to meet a tag soon, and read the table.
-- has_a_tag --
((SELECT t.name FROM tags t WHERE t.repository_id = r.id ORDER BY t.name LIMIT 1) IS NOT NULL);
