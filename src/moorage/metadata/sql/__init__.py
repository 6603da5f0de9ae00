"""Metadata in a database: the same store over SQLite and PostgreSQL."""
