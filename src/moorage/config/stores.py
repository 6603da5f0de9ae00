"""Places of the metadata: the one that a start has chosen, for the code that opens it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutStore:
    """Link files in storage."""

    must_claim: bool = False
    """True if ``filesystem-in-use`` must be written before the first manifest (see ``storage/locks.py``): a registry
    without images starts without it, and a database must not be started beside the first one."""
    mark: bytes = field(default=b"", compare=False)
    """Content of ``filesystem-in-use`` at the start: a storage that says something else is then another one."""


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A database in one file, with the schema of this version."""

    path: Path
    identity: str = field(default="", compare=False)
    """The database's name, as noted in storage; empty: that was not looked at."""
    adopting: bool = field(default=False, compare=False)
    """True if link files are the truth about whatever the database has not taken over yet."""


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """The PostgreSQL database that the section ``database`` names; its schema was checked."""

    identity: str = field(default="", compare=False)
    """As above."""
    adopting: bool = field(default=False, compare=False)
    """As above."""


DatabaseStore = SqliteStore | PostgresStore
Store = LayoutStore | DatabaseStore
