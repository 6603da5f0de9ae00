-- What a start asks before it uses a database.

-- has_repositories --
SELECT 1 FROM repositories WHERE populated_at IS NOT NULL LIMIT 1;
