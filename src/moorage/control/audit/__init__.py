"""Changes that were made, and by whom: rows that are written with each change and never altered."""
