-- Everything goes, and all metadata with it.

DROP TABLE gc_manifest_review_queue,
    gc_blob_review_queue,
    gc_review_after_defaults,
    pull_facts,
    journal,
    leases,
    uploads,
    tags,
    manifest_references,
    layers,
    manifests,
    repository_blobs,
    blobs,
    repositories,
    top_level_namespaces;

DROP FUNCTION put_manifest_v1;
DROP FUNCTION point_tag_v1;
DROP FUNCTION link_blob_v1;
DROP FUNCTION ensure_repository_v1;
DROP FUNCTION gc_track_repository_blob_v1;
DROP FUNCTION gc_track_reference_v1;
DROP FUNCTION gc_track_layer_v1;
DROP FUNCTION gc_track_tag_removal_v1;
DROP FUNCTION gc_track_tag_switch_v1;
DROP FUNCTION gc_track_manifest_v1;
DROP FUNCTION gc_review_manifest_v1;
DROP FUNCTION gc_review_blob_v1;
DROP FUNCTION gc_review_after_v1;
