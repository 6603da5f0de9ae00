-- What the catalogue says, in PostgreSQL's words.

-- has_table --
SELECT 1 FROM pg_class WHERE oid = to_regclass($1::text) AND relkind IN ('r', 'p');

-- has_column --
SELECT 1 FROM pg_attribute
WHERE attrelid = to_regclass($1::text) AND attname = $2::text AND attnum > 0 AND NOT attisdropped;

-- has_null_index --
SELECT 1 FROM pg_index WHERE indrelid = to_regclass($1::text) AND indisvalid
    AND pg_get_expr(indpred, indrelid) LIKE '%' || $2::text || ' IS NULL%';

-- estimate --
SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($1::text) AND reltuples >= 0;

-- The segment that is written now, the last one that was archived, bytes of a segment; nothing without an archive.
-- archive --
SELECT pg_walfile_name(pg_current_wal_insert_lsn()), last_archived_wal,
    pg_size_bytes(current_setting('wal_segment_size'))
FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off';
