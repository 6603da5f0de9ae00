"""Offline garbage collection: mark all that is used, then sweep the rest."""
