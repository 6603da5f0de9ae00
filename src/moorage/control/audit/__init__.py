"""What was changed, by whom: rows that are written with each change and never altered."""
