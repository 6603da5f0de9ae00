-- A function for PostgreSQL alone: on SQLite a push is written in steps.
SELECT 1;
