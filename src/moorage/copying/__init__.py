"""Copies of a whole storage onto another one, of whatever kinds the two are."""
