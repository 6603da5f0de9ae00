-- Notices of events (notification_queue). Those that change rows hold them in one order: two never wait in a circle.

-- add_notice --
INSERT INTO notification_queue (endpoint, lane, event_id, action, artifact, at, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- How many notices that tell of no change wait for an endpoint, up to a number.
-- waiting_pulls --
SELECT count(*) FROM (
    SELECT 1 FROM notification_queue WHERE endpoint = $1 AND failed_at IS NULL AND action IN ('pull', 'refuse') LIMIT $2
) AS pulls;

-- waiting --
SELECT id, event_id, endpoint, lane, action, artifact, at,
    CASE WHEN length(payload) <= 65536 THEN payload END, tries, tried_at, error, failed_at
FROM notification_queue WHERE endpoint = $1 AND failed_at IS NULL AND NOT lane = ANY($3) ORDER BY id LIMIT $2;

-- payload --
SELECT payload FROM notification_queue WHERE id = $1;

-- delivered --
DELETE FROM notification_queue WHERE id = ANY($1);

-- missed --
UPDATE notification_queue SET tries = tries + 1, tried_at = $2, error = $3, failed_at = $4 WHERE id = $1;

-- queues --
SELECT q.endpoint, count(*) FILTER (WHERE q.failed_at IS NULL), min(q.at) FILTER (WHERE q.failed_at IS NULL),
    count(*) FILTER (WHERE q.failed_at IS NOT NULL)
FROM notification_queue q GROUP BY q.endpoint ORDER BY q.endpoint;

-- first_error --
SELECT error FROM notification_queue WHERE endpoint = $1 AND failed_at IS NULL AND error IS NOT NULL
ORDER BY id LIMIT 1;

-- last_failure --
SELECT error FROM notification_queue WHERE endpoint = $1 AND failed_at IS NOT NULL ORDER BY id DESC LIMIT 1;

-- listed_failed --
SELECT id, event_id, endpoint, lane, action, artifact, at, NULL, tries, tried_at, error, failed_at
FROM notification_queue WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id > $2
ORDER BY id LIMIT $3;

-- listed_waiting --
SELECT id, event_id, endpoint, lane, action, artifact, at, NULL, tries, tried_at, error, failed_at
FROM notification_queue WHERE failed_at IS NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id > $2
ORDER BY id LIMIT $3;

-- retry --
UPDATE notification_queue SET failed_at = NULL, tries = 0
WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text)
RETURNING id;

-- retry_ids --
UPDATE notification_queue SET failed_at = NULL, tries = 0
WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id = ANY($2)
RETURNING id;

-- drop_failed --
DELETE FROM notification_queue WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text)
RETURNING id;

-- drop_failed_ids --
DELETE FROM notification_queue
WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id = ANY($2)
RETURNING id;

-- drop_waiting --
DELETE FROM notification_queue WHERE failed_at IS NULL AND ($1::text IS NULL OR endpoint = $1::text)
RETURNING id;

-- drop_waiting_ids --
DELETE FROM notification_queue
WHERE failed_at IS NULL AND ($1::text IS NULL OR endpoint = $1::text) AND id = ANY($2)
RETURNING id;

-- $1 and what is below it is called $2 from now on: what waits of it stays before what comes.
-- move_lanes --
UPDATE notification_queue SET lane = $2::text || substr(lane, length($1::text) + 1)
WHERE failed_at IS NULL AND (lane = $1::text OR (lane >= $1::text || '/' AND lane < $1::text || '0'));
