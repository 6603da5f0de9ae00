-- Everything goes, and all metadata with it.

DROP TABLE gc_manifest_review_queue;
DROP TABLE gc_blob_review_queue;
DROP TABLE gc_review_after_defaults;
DROP TABLE pull_facts;
DROP TABLE journal;
DROP TABLE leases;
DROP TABLE uploads;
DROP TABLE tags;
DROP TABLE manifest_references;
DROP TABLE layers;
DROP TABLE manifests;
DROP TABLE repository_blobs;
DROP TABLE blobs;
DROP TABLE repositories;
DROP TABLE top_level_namespaces;
