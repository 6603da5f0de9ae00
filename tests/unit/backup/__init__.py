"""Backups, made and brought back in this process."""
