DROP TABLE IF EXISTS adoptions;
DROP TABLE IF EXISTS adoption_progress;
