-- The review queues as a whole.

-- blob_state --
SELECT count(*), count(*) FILTER (WHERE review_after <= $1 AND (claimed_until IS NULL OR claimed_until <= $1)),
    count(*) FILTER (WHERE claimed_until > $1),
    min(review_after) FILTER (WHERE review_after <= $1 AND (claimed_until IS NULL OR claimed_until <= $1)),
    min(review_after) FILTER (WHERE review_after > $1 AND (claimed_until IS NULL OR claimed_until <= $1)),
    count(*) FILTER (WHERE review_count > 0), max(review_count)
FROM gc_blob_review_queue;

-- manifest_state --
SELECT count(*), count(*) FILTER (WHERE review_after <= $1), 0,
    min(review_after) FILTER (WHERE review_after <= $1), min(review_after) FILTER (WHERE review_after > $1),
    count(*) FILTER (WHERE review_count > 0), max(review_count)
FROM gc_manifest_review_queue;

-- blob_error --
SELECT last_error FROM gc_blob_review_queue WHERE review_count >= $1 LIMIT 1;

-- manifest_error --
SELECT last_error FROM gc_manifest_review_queue WHERE review_count >= $1 LIMIT 1;

-- blob_due --
SELECT count(*) FROM gc_blob_review_queue
WHERE review_after <= $1 AND (claimed_until IS NULL OR claimed_until <= $1);

-- manifest_due --
SELECT count(*) FROM gc_manifest_review_queue WHERE review_after <= $1;

-- blob_has_more --
SELECT 1 FROM gc_blob_review_queue LIMIT 1 OFFSET $1;

-- manifest_has_more --
SELECT 1 FROM gc_manifest_review_queue LIMIT 1 OFFSET $1;

-- progress --
SELECT coalesce(sum(reviewed), 0)::bigint, coalesce(sum(removed), 0)::bigint, coalesce(sum(removed_bytes), 0)::bigint,
    coalesce(sum(failed), 0)::bigint
FROM gc_progress WHERE queue = $1 AND hour >= $2;

-- $2 to $6: moments. What is due by each.
-- blob_forecast --
SELECT count(*) FILTER (WHERE at <= $2), coalesce(sum(size) FILTER (WHERE at <= $2), 0)::bigint,
    count(*) FILTER (WHERE at <= $3), coalesce(sum(size) FILTER (WHERE at <= $3), 0)::bigint,
    count(*) FILTER (WHERE at <= $4), coalesce(sum(size) FILTER (WHERE at <= $4), 0)::bigint,
    count(*) FILTER (WHERE at <= $5), coalesce(sum(size) FILTER (WHERE at <= $5), 0)::bigint,
    count(*) FILTER (WHERE at <= $6), coalesce(sum(size) FILTER (WHERE at <= $6), 0)::bigint
FROM (
    SELECT b.size AS size, q.review_after AS at
    FROM (SELECT digest, review_after FROM gc_blob_review_queue ORDER BY review_after LIMIT $1) AS q
    JOIN blobs b ON b.digest = q.digest
    WHERE NOT {blob_is_needed}
) AS going;

-- Manifests that go, and one step further: what only those list, and what hangs on them. Of those, the layers and
-- configurations that no other manifest needs, at the time of the last that does. $2 to $6: moments by which a manifest
-- has to be looked at so that its layers are gone in time; $7 to $11: the same for the further step.
-- manifest_forecast --
WITH unneeded AS MATERIALIZED (
    SELECT m.id, m.repository_id, m.digest, q.review_after AS at
    FROM (SELECT manifest_id, review_after FROM gc_manifest_review_queue ORDER BY review_after LIMIT $1) AS q
    JOIN manifests m ON m.id = q.manifest_id
    WHERE NOT {manifest_is_needed}
), further AS MATERIALIZED (
    SELECT c.id, u.at FROM unneeded u
    JOIN manifest_references r ON r.parent_id = u.id JOIN manifests c ON c.id = r.child_id
    WHERE NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = c.id)
        AND NOT EXISTS (SELECT 1 FROM manifest_references o
            WHERE o.child_id = c.id AND o.parent_id NOT IN (SELECT id FROM unneeded))
        AND NOT EXISTS (SELECT 1 FROM sparse_references s
            WHERE s.digest = c.digest AND s.repository_id = c.repository_id)
        AND c.subject_digest IS NULL
    UNION ALL
    SELECT c.id, u.at FROM unneeded u
    JOIN manifests c ON c.repository_id = u.repository_id AND c.subject_digest = u.digest
    WHERE NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = c.id)
        AND NOT EXISTS (SELECT 1 FROM manifest_references o WHERE o.child_id = c.id)
        AND NOT EXISTS (SELECT 1 FROM sparse_references s
            WHERE s.digest = c.digest AND s.repository_id = c.repository_id)
), going AS MATERIALIZED (
    SELECT id, at, 1 AS step FROM unneeded
    UNION ALL
    SELECT id, max(at), 2 FROM further WHERE id NOT IN (SELECT id FROM unneeded) GROUP BY id
), held AS MATERIALIZED (
    SELECT blob_id, max(at) AS at, max(step) AS step FROM (
        SELECT l.blob_id, g.at, g.step FROM going g JOIN layers l ON l.manifest_id = g.id
        UNION ALL
        SELECT m.config_blob_id, g.at, g.step FROM going g JOIN manifests m ON m.id = g.id
        WHERE m.config_blob_id IS NOT NULL
    ) AS each GROUP BY blob_id
), freed AS (
    SELECT b.size AS size, h.at AS at, h.step AS step FROM held h JOIN blobs b ON b.id = h.blob_id
    WHERE NOT EXISTS (SELECT 1 FROM layers l
            WHERE l.blob_id = b.id AND l.manifest_id NOT IN (SELECT id FROM going))
        AND NOT EXISTS (SELECT 1 FROM manifests m
            WHERE m.config_blob_id = b.id AND m.id NOT IN (SELECT id FROM going))
        AND NOT EXISTS (SELECT 1 FROM sparse_references s
            JOIN repository_blobs rb ON rb.repository_id = s.repository_id AND rb.blob_id = b.id
            WHERE s.digest = b.digest)
), shown AS (
    SELECT size,
        at <= CASE step WHEN 1 THEN $2::timestamptz ELSE $7::timestamptz END AS first, at <= CASE step WHEN 1 THEN $3::timestamptz ELSE $8::timestamptz END AS second,
        at <= CASE step WHEN 1 THEN $4::timestamptz ELSE $9::timestamptz END AS third, at <= CASE step WHEN 1 THEN $5::timestamptz ELSE $10::timestamptz END AS fourth,
        at <= CASE step WHEN 1 THEN $6::timestamptz ELSE $11::timestamptz END AS fifth
    FROM freed
)
SELECT count(*) FILTER (WHERE first), coalesce(sum(size) FILTER (WHERE first), 0)::bigint,
    count(*) FILTER (WHERE second), coalesce(sum(size) FILTER (WHERE second), 0)::bigint,
    count(*) FILTER (WHERE third), coalesce(sum(size) FILTER (WHERE third), 0)::bigint,
    count(*) FILTER (WHERE fourth), coalesce(sum(size) FILTER (WHERE fourth), 0)::bigint,
    count(*) FILTER (WHERE fifth), coalesce(sum(size) FILTER (WHERE fifth), 0)::bigint
FROM shown;

-- delay --
SELECT max(value) FROM gc_review_after_defaults;

-- Found first and hurried then, as finding may have to pass many.
-- blobs_to_hurry --
SELECT digest FROM gc_blob_review_queue
WHERE review_after > $1 AND event <> 'blob_upload' AND review_count = 0
    AND (claimed_until IS NULL OR claimed_until <= $1)
ORDER BY review_after LIMIT $2;

-- hurry_blobs --
UPDATE gc_blob_review_queue SET review_after = $1
WHERE digest = ANY($2) AND review_after > $1 AND event <> 'blob_upload' AND review_count = 0
    AND (claimed_until IS NULL OR claimed_until <= $1)
RETURNING digest;

-- manifests_to_hurry --
SELECT manifest_id FROM gc_manifest_review_queue
WHERE review_after > $1 AND event <> 'manifest_upload' AND review_count = 0 ORDER BY review_after LIMIT $2;

-- hurry_manifests --
UPDATE gc_manifest_review_queue SET review_after = $1
WHERE manifest_id = ANY($2) AND review_after > $1 AND event <> 'manifest_upload' AND review_count = 0
RETURNING manifest_id;
