"""Checking storage against metadata, in both directions, and repairing what can be. No HTTP, no SQL, no vendor."""
