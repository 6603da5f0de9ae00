"""Health of a node: checks that are made again and again, and what they have found."""
