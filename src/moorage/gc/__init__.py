"""Garbage collection: finding what nothing needs, and removing it. No HTTP, no SQL, no vendor."""
