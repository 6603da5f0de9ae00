"""Migrations of this room's tables."""
