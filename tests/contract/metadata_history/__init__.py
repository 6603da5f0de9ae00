"""One suite over every store that has history."""
