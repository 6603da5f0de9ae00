-- In one order, so that two renames that overlap wait for each other. A push that has begun is waited for, as it holds
-- its repository's row; one that begins later waits for the rename.
-- locked --
SELECT id, path FROM repositories WHERE path = $1 OR (path >= $1 || '/' AND path < $1 || '0') ORDER BY id LIMIT $2
FOR UPDATE;
