-- What a referrer weighs in a list, beside its key: a page is measured without reading what may be large.

-- How long annotations are, in characters; NULL where there are none.
ALTER TABLE manifests ADD COLUMN annotations_size INTEGER;
UPDATE manifests SET annotations_size = length(annotations) WHERE annotations IS NOT NULL;

-- All that a page asks for: the row itself would be read through its payload.
CREATE INDEX manifests_by_referral
    ON manifests (repository_id, subject_digest, digest, deleted_at, size, annotations_size, artifact_type)
    WHERE subject_digest IS NOT NULL;
DROP INDEX manifests_by_subject;
