"""One suite over every metadata store."""
