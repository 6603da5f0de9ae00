"""A registry that adopts link files, on two nodes that are killed at random, beside a dictionary."""
