"""Bytes under paths: one interface, one file a backend."""
