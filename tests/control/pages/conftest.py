"""A registry behind the pages."""
