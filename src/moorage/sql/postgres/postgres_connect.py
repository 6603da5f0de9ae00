"""Ways to reach a PostgreSQL server: the hosts in turn, TLS. What runs over it is elsewhere."""

from dataclasses import dataclass
from urllib.parse import urlencode

import asyncpg

from moorage.errors import DatabaseUnavailable
from moorage.sql.database_place import PostgresSettings
from moorage.sql.postgres.postgres_errors import VENDOR_ERRORS


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
