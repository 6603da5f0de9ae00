"""Ways to reach a PostgreSQL server: the settings, the hosts in turn, TLS. What runs over it is elsewhere."""

import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlencode

import asyncpg

from moorage.errors import DatabaseUnavailable
from moorage.sql.postgres.postgres_errors import VENDOR_ERRORS

SSLMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

_UNLIMITED_OPEN = 10
"""Connections of a worker if the configuration sets no limit: a worker is one thread, and ten keep it busy. A server
takes 100 from all that use it, unless told otherwise."""
_CONNECT_DEADLINE = timedelta(seconds=10)
_DRAIN_DEADLINE = timedelta(seconds=10)
_NONE = timedelta(0)


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


@dataclass(frozen=True, slots=True)
class PgAddress:
    """One host and its port."""

    host: str
    port: int

    def __str__(self) -> str:
        return self.host if self.host.startswith("/") else f"{self.host}:{self.port}"


class Connector:
    """Opens connections to the host that can be used, beginning with the one that could be last time."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._addresses = addresses_of(settings)
        self._first = 0

    async def connect(self) -> asyncpg.Connection:
        """Open a connection.

        Raises:
            DatabaseUnavailable: no host takes one, or none is as the settings ask for.
        """
        failures: list[str] = []
        last: BaseException | None = None
        count = len(self._addresses)
        for index in [(self._first + n) % count for n in range(count)]:
            try:
                connection = await open_connection(self._settings, self._addresses[index])
            except VENDOR_ERRORS as exc:
                failures.append(f"{self._addresses[index]}: {describe(exc)}")
                last = exc
            else:
                self._first = index
                return connection
        msg = f"no connection to PostgreSQL: {'; '.join(failures)}"
        raise DatabaseUnavailable(msg) from last


async def open_connection(
    settings: PostgresSettings, address: PgAddress, *, is_writable: bool | None = None
) -> asyncpg.Connection:
    """Open one connection to one host; *is_writable* overrides the settings.

    The driver's errors come as they are.
    """
    writable = settings.is_writable if is_writable is None else is_writable
    return await asyncpg.connect(
        _tls_dsn(settings),
        host=address.host,
        port=address.port,
        user=settings.user or None,
        password=settings.password or None,
        database=settings.dbname or None,
        timeout=settings.connect_deadline_s,
        command_timeout=settings.statement_deadline.total_seconds(),
        # The pool keeps the statements itself. More than none here means only that they get names on the server.
        statement_cache_size=1 if settings.prepared_statements else 0,
        target_session_attrs="read-write" if writable else "any",
    )


def addresses_of(settings: PostgresSettings) -> list[PgAddress]:
    """The hosts of the settings, in their order."""
    return [_parse_address(text.strip(), settings.port) for text in settings.host.split(",")]


def describe(exc: BaseException) -> str:
    """An error of a connection attempt in one line."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, asyncpg.TargetServerAttributeNotMatched):
        return "it is read-only"
    return " ".join(str(exc).split()) or type(exc).__name__


def _parse_address(text: str, port: int) -> PgAddress:
    if text.startswith("["):
        host, _, own = text[1:].partition("]")
        return PgAddress(host, int(own.removeprefix(":") or port))
    if not text.startswith("/") and text.count(":") == 1:
        host, _, own = text.partition(":")
        return PgAddress(host, int(own))
    return PgAddress(text, port)


def _tls_dsn(settings: PostgresSettings) -> str:
    """Return what the driver takes only as a URL. It reads the files anew for each connection, so also renewed ones."""
    files = {"sslcert": settings.sslcert, "sslkey": settings.sslkey, "sslrootcert": settings.sslrootcert}
    return "postgresql:///?" + urlencode({"sslmode": settings.sslmode} | {k: v for k, v in files.items() if v})
