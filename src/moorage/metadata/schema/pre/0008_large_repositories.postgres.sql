-- Queries are planned for large repositories.

-- A registry has very many small repositories, and a few with most of the rows. By its own count of repositories the
-- planner takes each for small, reads all rows of the one that is asked for, and compares the digests or names itself:
-- a push into a repository of 100,000 manifests took a hundred milliseconds. A row that is sought by both parts of
-- an index costs next to nothing also where the repository is small.
ALTER TABLE repository_blobs ALTER COLUMN repository_id SET (n_distinct = 50);
ALTER TABLE manifests ALTER COLUMN repository_id SET (n_distinct = 50);
ALTER TABLE tags ALTER COLUMN repository_id SET (n_distinct = 50);
ALTER TABLE journal ALTER COLUMN repository_id SET (n_distinct = 50);
ALTER TABLE pull_facts ALTER COLUMN repository_id SET (n_distinct = 50);
ALTER TABLE sparse_references ALTER COLUMN repository_id SET (n_distinct = 50);
-- It counts from the next time that the planner looks at the tables. A new database is left alone: of a table that is
-- known to be empty each statement is planned to read the whole, and sessions keep their plans while it is filled. Of one
-- that nobody has looked at, the planner goes by its size.
DO $$
BEGIN
    IF EXISTS (SELECT FROM repository_blobs) OR EXISTS (SELECT FROM manifests) THEN
        ANALYZE repository_blobs, manifests, tags, journal, pull_facts, sparse_references;
    END IF;
END
$$;
