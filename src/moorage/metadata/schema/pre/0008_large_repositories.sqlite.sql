-- Queries are planned for large repositories: on PostgreSQL alone. SQLite's planner takes indexes whose columns are all
-- asked for before it counts anything.
SELECT 1;
