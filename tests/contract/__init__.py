"""One suite for each interface, over every backend."""
