-- Events that endpoints are to be told of: one row for each endpoint that wants it, written with the change that it
-- tells of, and deleted once it has arrived.
CREATE TABLE notification_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint text NOT NULL,
    -- Rows of one endpoint and lane arrive in the order of their ids: the name of the repository.
    lane text NOT NULL,
    event_id text NOT NULL,
    action text NOT NULL,
    artifact text NOT NULL,
    at timestamptz NOT NULL,
    -- The event as JSON.
    payload text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    tried_at timestamptz,
    error text,
    -- Since when it is not tried any more; NULL: it waits.
    failed_at timestamptz
);
CREATE INDEX notification_queue_waiting ON notification_queue (endpoint, id) WHERE failed_at IS NULL;
CREATE INDEX notification_queue_failed ON notification_queue (endpoint, id) WHERE failed_at IS NOT NULL;
