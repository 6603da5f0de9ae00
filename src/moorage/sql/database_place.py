"""The database that is meant: one value for all that opens, checks, migrates or copies it."""

import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from moorage.config.sections.database import DatabaseSection
from moorage.errors import ConfigurationError, Mistake

SSLMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

_UNLIMITED_OPEN = 10
"""Connections of a worker if the configuration sets no limit: a worker is one thread, and ten keep it busy. A server
takes 100 from all that use it, unless told otherwise."""
_CONNECT_DEADLINE = timedelta(seconds=10)
_DRAIN_DEADLINE = timedelta(seconds=10)
_NONE = timedelta(0)
_PORT = 5432


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Limits of the connections of one worker process: how many it keeps, and for how long."""

    max_open: int = 0
    """At most so many at once; 0: ten."""
    max_idle: int | None = None
    """At most so many unused ones; None: as many as there may be; 0: none is kept."""
    max_lifetime: timedelta = _NONE
    """A connection is closed when it is this old and not in use; 0: never."""
    max_idle_time: timedelta = _NONE
    """A connection is closed when it was not used for so long; 0: never."""

    @property
    def open_bound(self) -> int:
        """*max_open* as a number that holds."""
        return self.max_open or _UNLIMITED_OPEN

    @property
    def idle_bound(self) -> int:
        """*max_idle* as a number that holds."""
        return self.open_bound if self.max_idle is None else self.max_idle


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """One PostgreSQL database and how one worker process uses it."""

    host: str = "localhost"
    """A name, an address or the folder of a unix socket; several, with commas between them, are tried in turn until
    one takes writes. ``name:port`` and ``[address]:port`` say a port of their own."""
    port: int = 5432
    user: str = ""
    password: str = field(default="", repr=False)
    dbname: str = ""
    sslmode: SSLMode = "prefer"
    """As libpq's. ``require`` verifies the server's certificate too if there is an *sslrootcert*."""
    sslcert: str = ""
    sslkey: str = ""
    sslrootcert: str = ""
    connect_timeout: timedelta = _NONE
    """For each host; 0: 10 s."""
    drain_timeout: timedelta = _NONE
    """The time that closing waits for what is running; 0: 10 s."""
    prepared_statements: bool = False
    """Keep prepared statements on the server: cheaper, and not for PgBouncer in transaction pooling before 1.21."""
    primary: str = ""
    """The host for migrations and imports, past any pooler; empty: *host*."""
    pool: PoolLimits = PoolLimits()
    statement_deadline: timedelta = timedelta(seconds=30)
    """The time that one statement may take."""
    queue_deadline: timedelta = timedelta(seconds=10)
    """The time to wait for a connection while all are in use."""
    is_writable: bool = True
    """Take only a server that can be written to; a replica is opened with False."""

    def of_primary(self) -> Self:
        """The same database, on the host for migrations and imports."""
        return dataclasses.replace(self, host=self.primary or self.host)

    @property
    def connect_deadline_s(self) -> float:
        """*connect_timeout* as a number that holds."""
        return (self.connect_timeout or _CONNECT_DEADLINE).total_seconds()

    @property
    def drain_deadline_s(self) -> float:
        """*drain_timeout* as a number that holds."""
        return (self.drain_timeout or _DRAIN_DEADLINE).total_seconds()


DatabasePlace = Path | PostgresSettings
"""A database: a path is an SQLite file's."""


def named_database(section: DatabaseSection) -> DatabasePlace | None:
    """Return the database that *section* names; None: it names none."""
    if section.sqlite:
        return Path(section.sqlite).absolute()
    return postgres_settings(section) if section.host or section.dbname else None


def needed_database(section: DatabaseSection) -> DatabasePlace:
    """Return the database that *section* names.

    Raises:
        ConfigurationError: it names none.
    """
    place = named_database(section)
    if place is None:
        message = "it names no database: sqlite names a file, host and dbname one of a PostgreSQL server"
        raise ConfigurationError([Mistake("database", message)])
    return place


def postgres_settings(config: DatabaseSection) -> PostgresSettings:
    """The connection that the section ``database`` describes."""
    return PostgresSettings(
        host=config.host,
        port=config.port or _PORT,
        user=config.user,
        password=config.password,
        dbname=config.dbname,
        sslmode=config.sslmode or "prefer",
        sslcert=config.sslcert,
        sslkey=config.sslkey,
        sslrootcert=config.sslrootcert,
        connect_timeout=config.connecttimeout,
        drain_timeout=config.draintimeout,
        prepared_statements=config.preparedstatements,
        primary=config.primary,
        pool=PoolLimits(
            max_open=config.pool.maxopen,
            # Not given is not 0: then what is open stays open.
            max_idle=max(config.pool.maxidle, 0) if "maxidle" in config.pool.model_fields_set else None,
            max_lifetime=config.pool.maxlifetime,
            max_idle_time=config.pool.maxidletime,
        ),
    )
