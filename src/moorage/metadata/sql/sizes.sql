-- How much repositories need. Ranges of paths as in details.sql. What a tag points to is never deleted, as deleting a
-- manifest removes its tags; what an index refers to may be.

-- size --
WITH RECURSIVE reachable (id) AS (
    SELECT t.manifest_id FROM repositories r CROSS JOIN tags t WHERE r.path = $1 AND t.repository_id = r.id
    UNION
    SELECT m.id FROM reachable CROSS JOIN manifest_references mr CROSS JOIN manifests m
    WHERE mr.parent_id = reachable.id AND m.id = mr.child_id AND m.deleted_at IS NULL
)
SELECT coalesce(sum(b.size), 0) FROM blobs b
WHERE b.id IN (SELECT l.blob_id FROM reachable CROSS JOIN layers l WHERE l.manifest_id = reachable.id);

-- size_with_descendants --
WITH RECURSIVE reachable (id) AS (
    SELECT t.manifest_id FROM repositories r CROSS JOIN tags t
    WHERE (r.path = $1 OR (r.path >= $1 || '/' AND r.path < $1 || '0')) AND t.repository_id = r.id
    UNION
    SELECT m.id FROM reachable CROSS JOIN manifest_references mr CROSS JOIN manifests m
    WHERE mr.parent_id = reachable.id AND m.id = mr.child_id AND m.deleted_at IS NULL
)
SELECT coalesce(sum(b.size), 0) FROM blobs b
WHERE b.id IN (SELECT l.blob_id FROM reachable CROSS JOIN layers l WHERE l.manifest_id = reachable.id);

-- estimated_size --
SELECT coalesce(sum(b.size), 0) FROM blobs b WHERE b.id IN (
    SELECT rb.blob_id FROM repositories r CROSS JOIN repository_blobs rb
    WHERE (r.path = $1 OR (r.path >= $1 || '/' AND r.path < $1 || '0'))
        AND rb.repository_id = r.id AND rb.deleted_at IS NULL
);

-- Without a join, so that the last row of the index is all that is read.
-- last_change --
SELECT coalesce(max(j.id), 0) FROM journal j WHERE j.repository_id = (SELECT id FROM repositories WHERE path = $1);

-- Besides, how many repositories there are and the last that was made: one that is renamed away takes its changes along.
-- last_change_with_descendants --
SELECT coalesce(max((SELECT max(j.id) FROM journal j WHERE j.repository_id = r.id)), 0), count(*),
    coalesce(max(r.id), 0)
FROM repositories r
WHERE r.path = $1 OR (r.path >= $1 || '/' AND r.path < $1 || '0');
