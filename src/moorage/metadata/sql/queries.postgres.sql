-- What PostgreSQL does in one round trip, by the functions of the first migration.

-- expect_blob --
SELECT gc_review_blob_v1($1, 'blob_upload');

-- Whoever changes tags holds the repository first.
-- lock_repository --
SELECT id FROM repositories WHERE path = $1 FOR NO KEY UPDATE;

-- link_blob --
SELECT link_blob_v1($1, $2, $3, $4);

-- put_manifest --
SELECT put_manifest_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);
