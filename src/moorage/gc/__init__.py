"""Garbage collection: what nobody refers to any more is found and removed."""
