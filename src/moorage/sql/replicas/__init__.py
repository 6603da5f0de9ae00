"""The replicas of a PostgreSQL primary: finding them, knowing how far they are, and reading from them."""
