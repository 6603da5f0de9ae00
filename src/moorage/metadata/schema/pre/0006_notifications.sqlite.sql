-- Events that endpoints are to be told of: one row for each endpoint that wants it, written with the change that it
-- tells of, and deleted once it has arrived.
CREATE TABLE notification_queue (
    -- Never used twice: a row that comes later has a higher one.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL,
    -- Rows of one endpoint and lane arrive in the order of their ids: the name of the repository.
    lane TEXT NOT NULL,
    event_id TEXT NOT NULL,
    action TEXT NOT NULL,
    artifact TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- The event as JSON.
    payload TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    tried_at INTEGER,
    error TEXT,
    -- Since when it is not tried any more; NULL: it waits.
    failed_at INTEGER
);
CREATE INDEX notification_queue_waiting ON notification_queue (endpoint, id) WHERE failed_at IS NULL;
CREATE INDEX notification_queue_failed ON notification_queue (endpoint, id) WHERE failed_at IS NOT NULL;
