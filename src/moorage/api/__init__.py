"""Answers of Moorage's own API: ``http`` gives them, the command line reads them.

Quick to import, as each command waits for it: without pydantic, and the classes are only fields and a constructor. What
else a dataclass can have is code that Python compiles when it is imported: that takes four times as long.
"""
