"""Garbage collection: what nobody refers to any more is found and removed. See ``docs/adr`` for what is safe and why."""
