-- What the catalogue says, in SQLite's words.

-- has_table --
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1;

-- has_column --
SELECT 1 FROM pragma_table_info($1) WHERE name = $2;

-- has_null_index --
SELECT 1 FROM sqlite_master
WHERE type = 'index' AND tbl_name = $1 AND sql LIKE '%WHERE%' || $2 || ' IS NULL%';

-- estimate --
SELECT NULL WHERE $1 = '';

-- archive --
SELECT NULL, NULL, 0 WHERE false;
