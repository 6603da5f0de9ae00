"""Where the metadata is: what a start has chosen, for those that open it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutStore:
    """Link files in storage."""

    must_claim: bool = False
    """Whether ``filesystem-in-use`` is to be written before the first manifest (see ``storage/locks.py``): a registry
    without images starts without it, and a database must not be started beside the first one."""


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A database in one file, with the schema of this version."""

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """The PostgreSQL database that the section ``database`` names; its schema was checked."""


DatabaseStore = SqliteStore | PostgresStore
Store = LayoutStore | DatabaseStore
