-- An adoption: the registry serves link files and takes them over, repository by repository, while it does. One row,
-- from the first start of an adoption on.
CREATE TABLE adoption_progress (
    id integer PRIMARY KEY CHECK (id = 1),
    began_at timestamptz NOT NULL,
    -- How many repositories link files have; NULL: nobody has counted them yet.
    repositories bigint,
    -- All repositories up to this name are taken.
    taken_until text COLLATE "C" NOT NULL DEFAULT '',
    -- Since when somebody agrees to what was left out.
    accepted_at timestamptz,
    -- Since when every repository is taken, and garbage collection is allowed.
    ended_at timestamptz
);
-- The repositories of link files whose truth is in the database (taken), or on its way there (taking). Where a
-- repository of link files has no row, they are the truth.
CREATE TABLE adoptions (
    path text COLLATE "C" PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('taking', 'taken')),
    -- Who takes it, and until when nobody else may: each page that is written renews it.
    holder text NOT NULL,
    held_until timestamptz NOT NULL,
    tags bigint NOT NULL DEFAULT 0,
    manifests bigint NOT NULL DEFAULT 0,
    -- How many things could not be taken over, and the first of them as JSON.
    left_out bigint NOT NULL DEFAULT 0,
    first_left_out text NOT NULL DEFAULT '[]',
    -- Why the last try failed.
    error text NOT NULL DEFAULT '',
    taken_at timestamptz
);
