DROP TRIGGER IF EXISTS measure_annotations ON manifests;
DROP FUNCTION IF EXISTS measure_annotations_v1();
ALTER TABLE manifests DROP COLUMN IF EXISTS annotations_size;
