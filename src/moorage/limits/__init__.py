"""Limits on how many requests a client may make: rates, where they are counted, and what a client is told."""
