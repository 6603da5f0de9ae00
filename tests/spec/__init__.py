"""What the specification says, clause by clause, over HTTP against the real daemon."""
