-- What PostgreSQL does in one round trip, by the functions of the first migration.

-- Each digest is looked up by itself. Of a list within a list the planner knows no length: so it keeps its plan, where
-- for each list that came it would make a new one, which costs more than it finds.
-- known_blobs --
SELECT wanted.digest, own.size FROM unnest(ARRAY(SELECT unnest($2::bytea[]))) AS wanted (digest)
CROSS JOIN LATERAL (
    SELECT b.size FROM blobs b
    WHERE b.digest = wanted.digest AND b.missing_since IS NULL AND EXISTS (
        SELECT 1 FROM repository_blobs rb WHERE rb.repository_id = (SELECT id FROM repositories WHERE path = $1)
            AND rb.blob_id = b.id AND rb.deleted_at IS NULL
        LIMIT 1 OFFSET 0)
    OFFSET 0
) AS own;

-- known_manifests --
SELECT wanted.digest FROM unnest(ARRAY(SELECT unnest($2::bytea[]))) AS wanted (digest)
CROSS JOIN LATERAL (
    SELECT 1 FROM manifests m
    WHERE m.repository_id = (SELECT id FROM repositories WHERE path = $1) AND m.digest = wanted.digest
        AND m.deleted_at IS NULL
    OFFSET 0
) AS own;

-- No row: garbage collection is removing the bytes of this digest right now.
-- expect_blob --
INSERT INTO gc_blob_review_queue (digest, review_after, event, life)
VALUES ($1, gc_review_after_v1('blob_upload'), 'blob_upload', $2)
ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event,
    review_count = 0, last_error = NULL, claimed_by = NULL, claimed_until = NULL
WHERE gc_blob_review_queue.claimed_until IS NULL OR gc_blob_review_queue.claimed_until <= now()
RETURNING life;

-- Whoever changes tags holds the repository first.
-- lock_repository --
SELECT id FROM repositories WHERE path = $1 FOR NO KEY UPDATE;

-- A push that lists the manifest holds it FOR KEY SHARE: either it sees the delete, or the delete sees it.
-- hold_manifest --
SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2 AND deleted_at IS NULL FOR UPDATE;

-- Likewise the blobs that a pushed manifest needs.
-- hold_blob --
SELECT b.id, rb.repository_id FROM blobs b CROSS JOIN repository_blobs rb
WHERE b.digest = $2 AND rb.repository_id = (SELECT id FROM repositories WHERE path = $1) AND rb.blob_id = b.id
    AND rb.deleted_at IS NULL
FOR UPDATE OF b;

-- All at once, in whatever order is best: nobody waits meanwhile.
-- needing_as_layer --
SELECT m.id, m.digest, true FROM layers l JOIN manifests m ON m.id = l.manifest_id
WHERE l.blob_id = $1 AND m.repository_id = $2 AND m.deleted_at IS NULL AND m.id > $3 LIMIT $4;

-- needing_as_config --
SELECT m.id, m.digest, true FROM manifests m
WHERE m.config_blob_id = $1 AND m.repository_id = $2 AND m.deleted_at IS NULL AND m.id > $3 LIMIT $4;

-- Null: not linked. Otherwise whether the size that was noted is right, as the bytes have just been hashed.
-- link_blob --
SELECT CASE WHEN link_blob_v2($1, $2, $3, $4, $5)
    THEN coalesce((SELECT size = $3 FROM blobs WHERE digest = $2), true) END;

-- The same, and the notices of it in the same statement: each a place in six lists, written in their order.
-- link_blob_telling --
WITH linked AS MATERIALIZED (
    SELECT link_blob_v2($1, $2, $3, $4, $5) AS done
), told AS (
    INSERT INTO notification_queue (endpoint, lane, event_id, action, artifact, at, payload)
    SELECT n.endpoint, n.lane, n.event_id, n.action, n.artifact, $5::timestamptz, n.payload
    FROM linked CROSS JOIN unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
        WITH ORDINALITY AS n (endpoint, lane, event_id, action, artifact, payload, place)
    WHERE linked.done ORDER BY n.place
)
SELECT CASE WHEN done THEN coalesce((SELECT size = $3 FROM blobs WHERE digest = $2), true) END FROM linked;

-- As the two above, for a blob that was not expected; $6: the number of removals.
-- link_placed_blob --
SELECT link_placed_blob_v2($1, $2, $3, $4, $5, $6);

-- link_placed_blob_telling --
WITH linked AS MATERIALIZED (
    SELECT link_placed_blob_v2($1, $2, $3, $4, $5, $6) AS is_right
), told AS (
    INSERT INTO notification_queue (endpoint, lane, event_id, action, artifact, at, payload)
    SELECT n.endpoint, n.lane, n.event_id, n.action, n.artifact, $5::timestamptz, n.payload
    FROM linked CROSS JOIN unnest($7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
        WITH ORDINALITY AS n (endpoint, lane, event_id, action, artifact, payload, place)
    WHERE linked.is_right IS NOT NULL ORDER BY n.place
)
SELECT is_right FROM linked;

-- mend_size --
UPDATE blobs SET size = $2 WHERE digest = $1 RETURNING id;

-- One that is moved meanwhile is not found: it points elsewhere. In the order in which a push takes them.
-- hold_tags --
SELECT t.name, m.digest FROM tags t JOIN repositories r ON r.id = t.repository_id
    JOIN manifests m ON m.repository_id = t.repository_id AND m.id = t.manifest_id
WHERE r.path = $1::text AND t.name = ANY($2::text[]) ORDER BY t.name FOR UPDATE OF t;

-- Those of some tags that a push at $3 has found, and not made.
-- tags_not_made --
SELECT t.name FROM tags t JOIN repositories r ON r.id = t.repository_id
WHERE r.path = $1::text AND t.name = ANY($2::text[]) AND (t.updated_at IS NOT NULL OR t.created_at <> $3::timestamptz)
ORDER BY t.name;

-- put_manifest --
SELECT put_manifest_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);

-- As link_blob_telling.
-- put_manifest_telling --
WITH put AS MATERIALIZED (
    SELECT put_manifest_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
        AS missing
), told AS (
    INSERT INTO notification_queue (endpoint, lane, event_id, action, artifact, at, payload)
    SELECT n.endpoint, n.lane, n.event_id, n.action, n.artifact, $16::timestamptz, n.payload
    FROM put CROSS JOIN unnest($20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[])
        WITH ORDINALITY AS n (endpoint, lane, event_id, action, artifact, payload, place)
    WHERE cardinality(put.missing) = 0 ORDER BY n.place
)
SELECT missing FROM put;

-- The last column: whether its review comes so soon that the answer is only good if the review is put off.
-- asked_blob --
SELECT q.review_after < now() + d.value / 2 * interval '1 microsecond' OR coalesce(q.claimed_until > now(), false), b.size
FROM blobs b CROSS JOIN repository_blobs rb
LEFT JOIN gc_blob_review_queue q ON q.digest = b.digest
LEFT JOIN gc_review_after_defaults d ON d.event = 'blob_upload'
WHERE b.digest = $2 AND b.missing_since IS NULL
    AND rb.repository_id = (SELECT id FROM repositories WHERE path = $1) AND rb.blob_id = b.id AND rb.deleted_at IS NULL;

-- No row: garbage collection has it, or has had it.
-- put_off_blob --
UPDATE gc_blob_review_queue SET review_after = gc_review_after_v1('blob_upload')
WHERE digest = $1 AND (claimed_until IS NULL OR claimed_until <= now())
    AND EXISTS (SELECT 1 FROM blobs WHERE digest = $1) RETURNING digest;

-- asked_manifest --
SELECT m.digest, m.media_type, m.payload, m.id,
    q.review_after < now() + d.value / 2 * interval '1 microsecond'
FROM repositories r JOIN manifests m ON m.repository_id = r.id
LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
LEFT JOIN gc_review_after_defaults d ON d.event = 'manifest_upload'
WHERE r.path = $1 AND m.digest = $2 AND m.deleted_at IS NULL;

-- put_off_manifest --
UPDATE gc_manifest_review_queue SET review_after = gc_review_after_v1('manifest_upload')
WHERE manifest_id = $1 RETURNING manifest_id;

-- Of the next $5, those before which there is room on the page; and how many the next were.
-- referrers --
SELECT digest, media_type, size, artifact_type, annotations, total FROM (
    SELECT digest, media_type, size, artifact_type, annotations, count(*) OVER () AS total,
        sum(annotations_size) OVER (ORDER BY digest) - annotations_size AS before
    FROM (
        SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations,
            coalesce(m.annotations_size, length(m.annotations)) AS annotations_size
        FROM manifests m
        WHERE m.repository_id = (SELECT id FROM repositories WHERE path = $1) AND m.subject_digest = $2
            AND m.digest > $3 AND m.deleted_at IS NULL AND ($4::text IS NULL OR m.artifact_type = $4::text)
        ORDER BY m.digest LIMIT $5
    ) AS following
) AS measured WHERE before <= $6 ORDER BY digest;
