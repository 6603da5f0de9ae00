-- delivered --
DELETE FROM notification_queue WHERE id IN (
    SELECT id FROM notification_queue WHERE id = ANY($1) ORDER BY id FOR UPDATE);

-- retry --
UPDATE notification_queue SET failed_at = NULL, tries = 0 WHERE id IN (
    SELECT id FROM notification_queue WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text)
        AND id > $2 AND id <= $3 ORDER BY id LIMIT $4 FOR UPDATE)
RETURNING id;

-- drop_failed --
DELETE FROM notification_queue WHERE id IN (
    SELECT id FROM notification_queue WHERE failed_at IS NOT NULL AND ($1::text IS NULL OR endpoint = $1::text)
        AND id > $2 AND id <= $3 ORDER BY id LIMIT $4 FOR UPDATE)
RETURNING id;

-- drop_waiting --
DELETE FROM notification_queue WHERE id IN (
    SELECT id FROM notification_queue WHERE failed_at IS NULL AND ($1::text IS NULL OR endpoint = $1::text)
        AND id > $2 AND id <= $3 ORDER BY id LIMIT $4 FOR UPDATE)
RETURNING id;

-- move_lanes --
UPDATE notification_queue SET lane = $2::text || substr(lane, length($1::text) + 1) WHERE id IN (
    SELECT id FROM notification_queue
    WHERE failed_at IS NULL AND (lane = $1::text OR (lane >= $1::text || '/' AND lane < $1::text || '0'))
    ORDER BY id FOR UPDATE);

-- move_lane --
UPDATE notification_queue SET lane = $2::text WHERE id IN (
    SELECT id FROM notification_queue WHERE failed_at IS NULL AND lane = $1::text ORDER BY id FOR UPDATE);
