DROP INDEX notification_queue_lanes;
DROP INDEX notification_queue_pulls;
