"""Backups of a registry and its control plane: made while both serve, brought back onto empty places, and tried out."""
