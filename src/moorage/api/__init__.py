"""Answers of Moorage's own API: ``http`` gives them, the command line reads them. Quick to import, so no pydantic."""
