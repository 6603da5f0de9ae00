"""A simulator of garbage collection among clients, in steps that a seed puts into order."""
