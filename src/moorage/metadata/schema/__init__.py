"""The schema's migrations: two chains of plain SQL files, as GitLab has them (ADR 0011).

``pre/``: before new code starts; it refuses to without them. ``post/``: afterwards, and code starts without them.

A migration is a line in :data:`chains.CHAINS` and its files beside this one:

- ``NNNN_name.sqlite.sql`` and ``NNNN_name.postgres.sql``: what is done;
- ``NNNN_name.sqlite.down.sql`` and ``NNNN_name.postgres.down.sql``: how it is undone. Without one, it cannot be.

A file is run as a whole in one transaction, with the note that it was applied. SQLite runs it with foreign keys
switched off, so that a table can be made anew, and checks them before the commit.
"""
