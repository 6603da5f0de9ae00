"""Reading configurations."""
