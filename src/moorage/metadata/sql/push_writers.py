"""Choice of the writer of pushes: the two stand side by side here."""

from moorage.metadata.sql.postgres_pushes import PostgresPushes
from moorage.metadata.sql.push_writing import PushWriter
from moorage.metadata.sql.sqlite_pushes import SqlitePushes
from moorage.sql.base import Database


def push_writer(database: Database) -> PushWriter:
    """Return the writer of pushes for the kind that *database* is."""
    return PostgresPushes(database) if database.dialect == "postgres" else SqlitePushes(database)
