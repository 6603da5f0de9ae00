-- History and undo. journal rows are read newest first; identity is the repository's id, so that a rename keeps them.

-- repository_id --
SELECT id FROM repositories WHERE path = $1;

-- repository_path --
SELECT path FROM repositories WHERE id = $1;

-- What stands where a repository is to be called $1: one of that name, or below it any but $2, which move along.
-- in_the_way --
SELECT path FROM repositories
WHERE path = $1 OR (path >= $1 || '/' AND path < $1 || '0' AND NOT id = ANY($2)) ORDER BY path LIMIT 1;

-- entries_of_repository --
SELECT id, at, actor, request_id, reason, action, repository_id, repository, tag, from_digest, to_digest, detail
FROM journal WHERE repository_id = $1 AND id < $2 AND at >= $3 AND at < $4
ORDER BY id DESC LIMIT $5;

-- entries_of_tag --
SELECT id, at, actor, request_id, reason, action, repository_id, repository, tag, from_digest, to_digest, detail
FROM journal WHERE repository_id = $1 AND tag = $6 AND id < $2 AND at >= $3 AND at < $4
ORDER BY id DESC LIMIT $5;

-- entries_of_request --
SELECT id, at, actor, request_id, reason, action, repository_id, repository, tag, from_digest, to_digest, detail
FROM journal WHERE request_id = $6 AND ($1::bigint IS NULL OR repository_id = $1::bigint) AND id < $2
    AND at >= $3 AND at < $4 AND ($7::text IS NULL OR tag = $7::text) AND ($8::text IS NULL OR actor = $8::text)
    AND ($9::text IS NULL OR action = $9::text)
ORDER BY id DESC LIMIT $5;

-- Where a manifest that is not deleted is needed, nothing is going to take it.
-- manifest_fates --
SELECT m.digest, m.deleted_at IS NULL,
    CASE WHEN m.deleted_at IS NULL AND {manifest_is_needed} THEN NULL ELSE q.review_after END
FROM manifests m LEFT JOIN gc_manifest_review_queue q ON q.manifest_id = m.id
WHERE m.repository_id = $1 AND m.digest = ANY($2);

-- blob_fates --
SELECT b.digest, rb.deleted_at IS NULL, CASE WHEN rb.deleted_at IS NULL THEN NULL ELSE q.review_after END
FROM blobs b CROSS JOIN repository_blobs rb LEFT JOIN gc_blob_review_queue q ON q.digest = b.digest
WHERE b.digest = ANY($2) AND rb.repository_id = $1 AND rb.blob_id = b.id;

-- tag_now --
SELECT m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.repository_id = $1 AND t.name = $2;

-- pulls_by_tag --
SELECT coalesce(sum(pulls), 0)::bigint, max(last_pulled_at) FROM pull_facts WHERE repository_id = $1 AND tag = $2;

-- pulls_of_manifest --
SELECT coalesce(sum(pulls), 0)::bigint, max(last_pulled_at) FROM pull_facts WHERE repository_id = $1 AND digest = $2;

-- last_change_of_tag --
SELECT id, at, actor, request_id, reason, action, repository_id, repository, tag, from_digest, to_digest, detail
FROM journal WHERE repository_id = $1 AND tag = $2 AND at <= $3 ORDER BY id DESC LIMIT 1 OFFSET $4;

-- next_change_of_tag --
SELECT from_digest FROM journal WHERE repository_id = $1 AND tag = $2 AND at > $3 ORDER BY id LIMIT 1;

-- removal_of_tag_target --
SELECT at, action FROM journal WHERE repository_id = $1 AND tag = $2 AND from_digest = $3 ORDER BY id DESC LIMIT 1;

-- review_delay --
SELECT value FROM gc_review_after_defaults WHERE event = $1;

-- repositories_of_request --
SELECT DISTINCT coalesce(r.path, j.repository) FROM journal j LEFT JOIN repositories r ON r.id = j.repository_id
WHERE j.request_id = $1 AND ($2::text IS NULL OR j.actor = $2::text)
    AND ($3::bigint IS NULL OR j.repository_id = $3::bigint) ORDER BY 1;

-- The last published first.
-- published --
SELECT published_at, name FROM tags WHERE repository_id = $1
ORDER BY published_at DESC, name DESC LIMIT $2;

-- published_after --
SELECT published_at, name FROM tags WHERE repository_id = $1 AND (published_at, name) < ($3, $4)
ORDER BY published_at DESC, name DESC LIMIT $2;

-- published_now --
SELECT published_at, name FROM tags WHERE repository_id = $1 AND name = ANY($2) ORDER BY name;

-- add_entry --
INSERT INTO journal (at, actor, request_id, reason, action, repository_id, repository, tag, from_digest, to_digest,
    detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- newest_of_request --
SELECT max(id) FROM journal WHERE request_id = $1 AND ($2::text IS NULL OR actor = $2::text)
    AND ($3::bigint IS NULL OR repository_id = $3::bigint);

-- What one request changed, newest first, of some kinds.
-- steps --
SELECT id, repository_id, tag, from_digest, to_digest, detail FROM journal
WHERE request_id = $1 AND ($2::text IS NULL OR actor = $2::text)
    AND ($3::bigint IS NULL OR repository_id = $3::bigint) AND id < $4 AND action = ANY($5)
ORDER BY id DESC LIMIT $6;

-- What it changed more than once: such a thing counts once, from its first row's "from" to its last row's "to".
-- repeated --
SELECT ends.repository_id, ends.kind, ends.tag, ends.digest, ends.last_id, first.from_digest, first.detail
FROM (SELECT repository_id, kind, tag, digest, min(id) AS first_id, max(id) AS last_id
    FROM (SELECT id, repository_id, substr(action, 1, 3) AS kind, tag,
            CASE WHEN tag IS NULL THEN coalesce(from_digest, to_digest) END AS digest
        FROM journal WHERE request_id = $1 AND ($2::text IS NULL OR actor = $2::text)
            AND ($3::bigint IS NULL OR repository_id = $3::bigint)) AS changes
    GROUP BY repository_id, kind, tag, digest HAVING count(*) > 1) AS ends
JOIN journal first ON first.id = ends.first_id;

-- tags_now --
SELECT t.name, (SELECT m.digest FROM manifests m WHERE m.id = t.manifest_id) FROM tags t
WHERE t.repository_id = $1 AND t.name = ANY($2);

-- lock_tags --
SELECT id FROM tags WHERE repository_id = $1 AND name = ANY($2);

-- lock_manifests --
SELECT digest, id, deleted_at IS NULL FROM manifests WHERE repository_id = $1 AND digest = ANY($2);

-- lock_blobs --
SELECT b.digest, b.id, rb.deleted_at IS NULL FROM blobs b CROSS JOIN repository_blobs rb
WHERE b.digest = ANY($2) AND rb.repository_id = $1 AND rb.blob_id = b.id;

-- hold_repositories --
SELECT id FROM repositories WHERE id = ANY($1);

-- repository_ids_of_request --
SELECT DISTINCT repository_id FROM journal WHERE request_id = $1 AND ($2::text IS NULL OR actor = $2::text)
    AND ($3::bigint IS NULL OR repository_id = $3::bigint);

-- lock_repository --
SELECT path FROM repositories WHERE id = $1;

-- Tags that are about to be deleted; they are locked.
-- journal_dropped --
INSERT INTO journal (repository_id, repository, at, actor, request_id, reason, action, tag, from_digest)
SELECT $1, $3, $4, $5, $6, $7, 'tag_delete', t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
WHERE t.repository_id = $1 AND t.name = ANY($2) ORDER BY t.name;

-- drop_tags --
DELETE FROM tags WHERE repository_id = $1 AND name = ANY($2) RETURNING name;

-- told_manifests --
SELECT id, digest, media_type, size FROM manifests WHERE id = ANY($1);

-- restore_manifests --
UPDATE manifests SET deleted_at = NULL WHERE id = ANY($1) AND deleted_at IS NOT NULL RETURNING digest;

-- deleted_children --
SELECT c.id FROM manifest_references r JOIN manifests c ON c.id = r.child_id
WHERE r.parent_id = ANY($1) AND c.deleted_at IS NOT NULL
UNION SELECT c.id FROM sparse_references s JOIN manifests c ON c.repository_id = s.repository_id AND c.digest = s.digest
WHERE s.manifest_id = ANY($1) AND c.deleted_at IS NOT NULL;

-- The blobs that manifests name, those that came after them too. Whoever takes one of these out of the repository does so
-- before, and is undone, or sees that it is needed.
-- hold_blobs_of_manifests --
SELECT id FROM blobs WHERE id IN (
    SELECT blob_id FROM layers WHERE manifest_id = ANY($2)
    UNION SELECT config_blob_id FROM manifests WHERE id = ANY($2) AND config_blob_id IS NOT NULL
    UNION SELECT b.id FROM sparse_references s JOIN blobs b ON b.digest = s.digest
    WHERE s.manifest_id = ANY($2) AND s.repository_id = $1);

-- restore_held_blobs --
UPDATE repository_blobs SET deleted_at = NULL
WHERE repository_id = $1 AND deleted_at IS NOT NULL AND blob_id = ANY($2)
RETURNING (SELECT b.digest FROM blobs b WHERE b.id = repository_blobs.blob_id);

-- restore_blobs --
UPDATE repository_blobs SET deleted_at = NULL WHERE repository_id = $1 AND blob_id = ANY($2);

-- remove_blobs --
UPDATE repository_blobs SET deleted_at = $3 WHERE repository_id = $1 AND blob_id = ANY($2);

-- remove_manifests --
UPDATE manifests SET deleted_at = $2 WHERE id = ANY($1);

-- tags_of_manifests --
SELECT manifest_id, min(name) FROM tags WHERE manifest_id = ANY($1) GROUP BY manifest_id;

-- parents_of_manifests --
SELECT r.child_id, p.id, p.digest FROM manifest_references r JOIN manifests p ON p.id = r.parent_id
WHERE r.child_id = ANY($1) AND p.deleted_at IS NULL
UNION SELECT c.id, p.id, p.digest FROM manifests c
    JOIN sparse_references s ON s.digest = c.digest AND s.repository_id = c.repository_id
    JOIN manifests p ON p.id = s.manifest_id
WHERE c.id = ANY($1) AND p.deleted_at IS NULL;

-- By the blobs: the plus and CROSS JOIN keep SQLite from all manifests of the repository.
-- manifests_of_blobs --
SELECT l.blob_id, m.digest FROM layers l CROSS JOIN manifests m
WHERE l.blob_id = ANY($2) AND m.id = l.manifest_id AND m.repository_id = $1 AND m.deleted_at IS NULL
UNION SELECT m.config_blob_id, m.digest FROM manifests m
WHERE m.config_blob_id = ANY($2) AND +m.repository_id = $1 AND m.deleted_at IS NULL
UNION SELECT b.id, m.digest FROM blobs b
    JOIN sparse_references s ON s.digest = b.digest AND s.repository_id = $1
    JOIN manifests m ON m.id = s.manifest_id
WHERE b.id = ANY($2) AND m.deleted_at IS NULL;

-- add_namespace --
INSERT INTO top_level_namespaces (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- rename_repository --
UPDATE repositories SET path = $2, updated_at = $4,
    top_level_namespace_id = (SELECT id FROM top_level_namespaces WHERE name = $3)
WHERE id = $1;
