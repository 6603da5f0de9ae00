"""Asking a registry over HTTP, as the command line does: where it is, who asks, and what it answers."""
