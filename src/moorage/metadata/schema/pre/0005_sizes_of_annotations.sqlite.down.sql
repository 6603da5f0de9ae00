CREATE INDEX manifests_by_subject ON manifests (repository_id, subject_digest, digest) WHERE subject_digest IS NOT NULL;
DROP INDEX manifests_by_referral;
ALTER TABLE manifests DROP COLUMN annotations_size;
