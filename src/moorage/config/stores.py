"""Where the metadata is: what a start has chosen, for those that open it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutStore:
    """Link files in storage."""

    must_claim: bool = False
    """Whether ``filesystem-in-use`` is to be written before the first manifest (see ``storage/locks.py``): a registry
    without images starts without it, and a database must not be started beside the first one."""
    mark: bytes = field(default=b"", compare=False)
    """What ``filesystem-in-use`` held at the start: a storage that says something else is then another one."""


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A database in one file, with the schema of this version."""

    path: Path
    identity: str = field(default="", compare=False)
    """What storage says of it; empty: that was not looked at."""


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """The PostgreSQL database that the section ``database`` names; its schema was checked."""

    identity: str = field(default="", compare=False)
    """As above."""


DatabaseStore = SqliteStore | PostgresStore
Store = LayoutStore | DatabaseStore
