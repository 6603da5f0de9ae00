DROP FUNCTION link_placed_blob_v1;
DROP TABLE gc_blob_removals;
