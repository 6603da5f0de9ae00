"""What a registry does; no HTTP, no SQL, no vendor."""
