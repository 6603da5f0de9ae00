"""Processes and sockets: one supervisor, one worker a core, nothing shared between them but files."""
