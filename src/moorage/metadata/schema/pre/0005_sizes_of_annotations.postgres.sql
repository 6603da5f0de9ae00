-- What a referrer weighs in a list: a page is measured without reading what may be large.

-- How long annotations are, in characters; NULL where there are none.
ALTER TABLE manifests ADD COLUMN IF NOT EXISTS annotations_size bigint;

-- A trigger, so that code that does not know of the column writes it too.
CREATE OR REPLACE FUNCTION measure_annotations_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.annotations_size := length(NEW.annotations);
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS measure_annotations ON manifests;
CREATE TRIGGER measure_annotations BEFORE INSERT ON manifests
    FOR EACH ROW WHEN (NEW.annotations IS NOT NULL) EXECUTE FUNCTION measure_annotations_v1();
-- next --
-- By itself, so that nobody waits for a lock of the table meanwhile.
UPDATE manifests SET annotations_size = length(annotations)
WHERE annotations IS NOT NULL AND annotations_size IS NULL;
