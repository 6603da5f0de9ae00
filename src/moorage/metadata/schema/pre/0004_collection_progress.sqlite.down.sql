DROP TABLE gc_progress;
