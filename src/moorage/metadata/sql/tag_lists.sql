-- Lists of tags, each walked up and down from a place, by name and by time; and whether anything lies beyond a place.
-- Each in an order: PostgreSQL would else read the table in the hope to meet a tag of the repository soon.
-- replace() finds text inside a name, letter for letter; LIKE would take '_' for any letter, and SQLite's 'A' for 'a'.

-- tags_by_name_up --
SELECT t.name, m.digest, c.digest, m.media_type, m.total_size, t.created_at, t.updated_at, t.published_at
FROM (
    SELECT name, manifest_id, created_at, updated_at, published_at FROM tags
    WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND name > $2
        AND ($3 = '' OR replace(name, $3, '') <> name)
    ORDER BY name LIMIT $4
) AS t JOIN manifests m ON m.id = t.manifest_id LEFT JOIN blobs c ON c.id = m.config_blob_id
ORDER BY t.name;

-- tags_by_name_down --
SELECT t.name, m.digest, c.digest, m.media_type, m.total_size, t.created_at, t.updated_at, t.published_at
FROM (
    SELECT name, manifest_id, created_at, updated_at, published_at FROM tags
    WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND name < $2
        AND ($3 = '' OR replace(name, $3, '') <> name)
    ORDER BY name DESC LIMIT $4
) AS t JOIN manifests m ON m.id = t.manifest_id LEFT JOIN blobs c ON c.id = m.config_blob_id
ORDER BY t.name DESC;

-- tags_by_time_up --
SELECT t.name, m.digest, c.digest, m.media_type, m.total_size, t.created_at, t.updated_at, t.published_at
FROM (
    SELECT name, manifest_id, created_at, updated_at, published_at FROM tags
    WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND (published_at, name) > ($2, $3)
        AND ($4 = '' OR replace(name, $4, '') <> name)
    ORDER BY published_at, name LIMIT $5
) AS t JOIN manifests m ON m.id = t.manifest_id LEFT JOIN blobs c ON c.id = m.config_blob_id
ORDER BY t.published_at, t.name;

-- tags_by_time_down --
SELECT t.name, m.digest, c.digest, m.media_type, m.total_size, t.created_at, t.updated_at, t.published_at
FROM (
    SELECT name, manifest_id, created_at, updated_at, published_at FROM tags
    WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND (published_at, name) < ($2, $3)
        AND ($4 = '' OR replace(name, $4, '') <> name)
    ORDER BY published_at DESC, name DESC LIMIT $5
) AS t JOIN manifests m ON m.id = t.manifest_id LEFT JOIN blobs c ON c.id = m.config_blob_id
ORDER BY t.published_at DESC, t.name DESC;

-- more_by_name_up --
SELECT 1 FROM tags
WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND name > $2
    AND ($3 = '' OR replace(name, $3, '') <> name)
ORDER BY name LIMIT 1;

-- more_by_name_down --
SELECT 1 FROM tags
WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND name < $2
    AND ($3 = '' OR replace(name, $3, '') <> name)
ORDER BY name DESC LIMIT 1;

-- more_by_time_up --
SELECT 1 FROM tags
WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND (published_at, name) > ($2, $3)
    AND ($4 = '' OR replace(name, $4, '') <> name)
ORDER BY published_at, name LIMIT 1;

-- more_by_time_down --
SELECT 1 FROM tags
WHERE repository_id = (SELECT id FROM repositories WHERE path = $1) AND (published_at, name) < ($2, $3)
    AND ($4 = '' OR replace(name, $4, '') <> name)
ORDER BY published_at DESC, name DESC LIMIT 1;
