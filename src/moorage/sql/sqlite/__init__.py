"""SQLite: one database file, its write-ahead log and its limits."""
