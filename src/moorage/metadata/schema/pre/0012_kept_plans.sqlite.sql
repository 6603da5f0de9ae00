-- Functions whose plans are kept: PostgreSQL's alone. SQLite has none, and plans a statement once.
SELECT 1;
