-- Notices of events (notification_queue). Those that change rows hold them in one order: two never wait in a circle.

-- add_notice --
INSERT INTO notification_queue (endpoint, lane, event_id, action, artifact, at, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- How many notices that tell of no change wait for an endpoint, up to a number.
-- waiting_pulls --
SELECT count(*) FROM (
    SELECT 1 FROM notification_queue WHERE endpoint = $1 AND failed_at IS NULL AND action IN ('pull', 'refuse') LIMIT $2
) AS pulls;

-- Of the first $4, those whose lanes are not held.
-- waiting --
SELECT id, event_id, endpoint, lane, action, artifact, at,
    CASE WHEN length(payload) <= 65536 THEN payload END, tries, tried_at, error, failed_at
FROM notification_queue WHERE id IN (
    SELECT id FROM (
        SELECT id, lane FROM notification_queue WHERE endpoint = $1 AND failed_at IS NULL ORDER BY id LIMIT $4
    ) AS oldest WHERE NOT lane = ANY($3) ORDER BY id LIMIT $2)
ORDER BY id;

-- The first of each lane that is not held, for so many lanes: from one lane to the next, however much waits in each.
-- waiting_elsewhere --
WITH RECURSIVE lanes (lane) AS (
    SELECT min(q.lane) FROM notification_queue q WHERE q.endpoint = $1 AND q.failed_at IS NULL
    UNION ALL
    SELECT (SELECT min(q.lane) FROM notification_queue q
        WHERE q.endpoint = $1 AND q.failed_at IS NULL AND q.lane > lanes.lane)
    FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT id, event_id, endpoint, lane, action, artifact, at,
    CASE WHEN length(payload) <= 65536 THEN payload END, tries, tried_at, error, failed_at
FROM notification_queue WHERE id IN (
    SELECT (SELECT min(q.id) FROM notification_queue q
        WHERE q.endpoint = $1 AND q.failed_at IS NULL AND q.lane = free.lane)
    FROM (SELECT lane FROM lanes WHERE lane IS NOT NULL AND NOT lane = ANY($3) LIMIT $2) AS free)
ORDER BY id;

-- payload --
SELECT payload FROM notification_queue WHERE id = $1;

-- delivered --
DELETE FROM notification_queue WHERE id = ANY($1);

-- missed --
UPDATE notification_queue SET tries = tries + 1, tried_at = $2, error = $3, failed_at = $4 WHERE id = $1;

-- Both are counted in indexes: the rows, with what they say, are many times as much.
-- waiting_counts --
SELECT endpoint, count(*), min(id) FROM notification_queue WHERE failed_at IS NULL GROUP BY endpoint;

-- failed_counts --
SELECT endpoint, count(*) FROM notification_queue WHERE failed_at IS NOT NULL GROUP BY endpoint;

-- moment --
SELECT at FROM notification_queue WHERE id = $1;

-- first_error --
SELECT error FROM (
    SELECT id, error FROM notification_queue WHERE endpoint = $1 AND failed_at IS NULL ORDER BY id LIMIT $2
) AS oldest WHERE error IS NOT NULL ORDER BY id LIMIT 1;

-- last_failure --
SELECT error FROM notification_queue WHERE endpoint = $1 AND failed_at IS NOT NULL ORDER BY id DESC LIMIT 1;

-- listed_failed --
SELECT id, event_id, endpoint, lane, action, artifact, at, NULL, tries, tried_at, error, failed_at
FROM notification_queue WHERE failed_at IS NOT NULL AND endpoint = $1 AND id > $2 ORDER BY id LIMIT $3;

-- listed_waiting --
SELECT id, event_id, endpoint, lane, action, artifact, at, NULL, tries, tried_at, error, failed_at
FROM notification_queue WHERE failed_at IS NULL AND endpoint = $1 AND id > $2 ORDER BY id LIMIT $3;

-- last_id --
SELECT max(id) FROM notification_queue;

-- All, a portion at a time: of the ids after $2 up to $3, the first $4.
-- retry --
UPDATE notification_queue SET failed_at = NULL, tries = 0 WHERE id IN (
    SELECT id FROM notification_queue WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text)
        AND id > $2 AND id <= $3 ORDER BY id LIMIT $4)
RETURNING id;

-- retry_ids --
UPDATE notification_queue SET failed_at = NULL, tries = 0
WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id = ANY($2)
RETURNING id;

-- drop_failed --
DELETE FROM notification_queue WHERE id IN (
    SELECT id FROM notification_queue WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text)
        AND id > $2 AND id <= $3 ORDER BY id LIMIT $4)
RETURNING id;

-- drop_failed_ids --
DELETE FROM notification_queue
WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id = ANY($2)
RETURNING id;

-- drop_waiting --
DELETE FROM notification_queue WHERE id IN (
    SELECT id FROM notification_queue WHERE failed_at IS NULL AND ($1::text IS NULL OR endpoint = $1::text)
        AND id > $2 AND id <= $3 ORDER BY id LIMIT $4)
RETURNING id;

-- drop_waiting_ids --
DELETE FROM notification_queue
WHERE failed_at IS NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id = ANY($2)
RETURNING id;

-- $1 and what is below it is called $2 from now on: what waits of it stays before what comes.
-- move_lanes --
UPDATE notification_queue SET lane = $2::text || substr(lane, length($1::text) + 1)
WHERE failed_at IS NULL AND (lane = $1::text OR (lane >= $1::text || '/' AND lane < $1::text || '0'));

-- move_lane --
UPDATE notification_queue SET lane = $2::text WHERE failed_at IS NULL AND lane = $1::text;
