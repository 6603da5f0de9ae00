DROP TABLE IF EXISTS notification_queue;
