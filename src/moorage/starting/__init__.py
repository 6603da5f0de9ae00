"""Starts of everything that runs by itself, and the rules that keep data safe, for any entry point."""
