"""Shared parts of the drivers whose objects are behind HTTP: attempts, rate, connections, bodies, keys, pages."""
