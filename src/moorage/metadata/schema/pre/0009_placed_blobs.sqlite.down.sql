DROP TABLE gc_blob_removals;
