-- What an endpoint that is away for long has waiting may be very much: each question has an index of its own.

-- Notices that tell of no change are counted.
CREATE INDEX notification_queue_pulls ON notification_queue (endpoint)
    WHERE failed_at IS NULL AND action IN ('pull', 'refuse');
-- Lanes that are held are passed by, not row by row.
CREATE INDEX notification_queue_lanes ON notification_queue (endpoint, lane, id) WHERE failed_at IS NULL;
