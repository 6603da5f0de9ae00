-- Which migrations were applied, and when. Code that knows fewer pre-deployment migrations than the greatest
-- oldest_code must not use this database.
CREATE TABLE IF NOT EXISTS moorage_migrations (
    phase text NOT NULL,
    name text NOT NULL,
    applied_at timestamptz NOT NULL,
    oldest_code integer NOT NULL,
    PRIMARY KEY (phase, name)
);

-- Alembic's own, one for each chain.
CREATE TABLE IF NOT EXISTS moorage_pre_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT moorage_pre_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE IF NOT EXISTS moorage_post_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT moorage_post_version_pkc PRIMARY KEY (version_num)
);
