"""Moorage's own API below ``/moorage/v1/``."""
