DROP TABLE IF EXISTS import_statistics;
