"""Protected repositories, protected tags and immutable tags."""
