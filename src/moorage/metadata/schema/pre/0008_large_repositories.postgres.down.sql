ALTER TABLE repository_blobs ALTER COLUMN repository_id RESET (n_distinct);
ALTER TABLE manifests ALTER COLUMN repository_id RESET (n_distinct);
ALTER TABLE tags ALTER COLUMN repository_id RESET (n_distinct);
ALTER TABLE journal ALTER COLUMN repository_id RESET (n_distinct);
ALTER TABLE pull_facts ALTER COLUMN repository_id RESET (n_distinct);
ALTER TABLE sparse_references ALTER COLUMN repository_id RESET (n_distinct);
