"""The services of a registry; no HTTP, no SQL, no vendor."""
