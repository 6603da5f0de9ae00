-- One row: how many times garbage collection has removed blobs, or has tried to, up to the end of their claims.
CREATE TABLE gc_blob_removals (
    -- Larger each time.
    number INTEGER NOT NULL
);
INSERT INTO gc_blob_removals VALUES (0);
