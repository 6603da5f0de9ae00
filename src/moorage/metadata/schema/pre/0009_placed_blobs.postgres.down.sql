DROP FUNCTION link_placed_blob_v1;
