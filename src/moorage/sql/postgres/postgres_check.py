"""Check before serving: whether the PostgreSQL server is one that can be used, and why not if not."""

from pathlib import Path

import asyncpg

from moorage.errors import ConfigurationError, DatabaseUnavailable, Mistake
from moorage.pem import said_of_text
from moorage.permissions import reason_of
from moorage.sql.database_place import PostgresSettings
from moorage.sql.postgres.postgres_connect import addresses_of, describe, open_connection
from moorage.sql.postgres.postgres_errors import VENDOR_ERRORS
from moorage.text_encodings import mistake_of_encoding

MINIMUM_VERSION = 15

_FILES = ("sslcert", "sslkey", "sslrootcert")


async def check_server(settings: PostgresSettings, *, minimum_version: int = MINIMUM_VERSION) -> None:
    """Look at each host of the settings until one can be used.

    Raises:
        ConfigurationError: none can, and it takes a change of the configuration or of the server to mend that.
        DatabaseUnavailable: no server answers.
    """
    mistakes = _unreadable_files(settings)
    if mistakes:
        raise ConfigurationError(mistakes)
    silent: list[str] = []
    for address in addresses_of(settings):
        try:
            connection = await open_connection(settings, address, is_writable=False)
        except VENDOR_ERRORS as exc:
            refusal = _refusal(exc)
            if refusal is None:
                silent.append(f"{address}: {describe(exc)}")
            else:
                mistakes.append(refusal)
            continue
        try:
            found = await _mistake_of(connection, minimum_version)
        finally:
            connection.terminate()
        if found is None:
            return
        mistakes.append(found)
    if mistakes:
        raise ConfigurationError(list(dict.fromkeys(mistakes)))
    msg = f"no connection to PostgreSQL: {'; '.join(silent)}"
    raise DatabaseUnavailable(msg)


def refused_encoding(encoding: str) -> Mistake | None:
    """Say why a database of this encoding (``server_encoding``) cannot be a registry's; None: it can."""
    return mistake_of_encoding(encoding, key="database.dbname", lack="that an image may show")


def _unreadable_files(settings: PostgresSettings) -> list[Mistake]:
    mistakes = []
    for key in _FILES:
        path = getattr(settings, key)
        if not path:
            continue
        if said := said_of_text(str(path)):
            mistakes.append(Mistake(f"database.{key}", said))
            continue
        try:
            Path(path).read_bytes()
        except OSError as exc:
            mistakes.append(Mistake(f"database.{key}", f"{path} cannot be read: {reason_of(exc, path, 'read')}"))
    return mistakes


def _refusal(exc: BaseException) -> Mistake | None:
    """The mistake behind a refused connection; None if there may be none, as the server is not there now."""
    if isinstance(exc, asyncpg.InvalidAuthorizationSpecificationError):
        return Mistake("database.user", f"the server does not let this user in: {describe(exc)}")
    if isinstance(exc, asyncpg.InvalidCatalogNameError):
        return Mistake("database.dbname", f"the server has no such database: {describe(exc)}")
    if isinstance(exc, asyncpg.ClientConfigurationError):
        return Mistake("database", describe(exc))
    if isinstance(exc, ConnectionError) and "SSL" in str(exc):
        return Mistake("database.sslmode", f"the server does not offer TLS: {describe(exc)}")
    if type(exc).__module__ == "ssl":
        return Mistake("database.sslmode", f"TLS fails: {describe(exc)}")
    return None


async def _mistake_of(connection: asyncpg.Connection, minimum_version: int) -> Mistake | None:
    version = connection.get_server_version()
    if version.major < minimum_version:
        return Mistake(
            "database.host",
            f"the database version is lower than the minimal supported version: it is {version.major}.{version.minor}"
            f", {minimum_version}.0 is needed",
        )
    try:
        found = await connection.fetchrow("SELECT pg_is_in_recovery(), current_setting('server_encoding')")
    except VENDOR_ERRORS as exc:
        msg = f"PostgreSQL does not answer: {describe(exc)}"
        raise DatabaseUnavailable(msg) from exc
    is_in_recovery, encoding = found
    if is_in_recovery:
        return Mistake("database.host", "the database is in read-only mode (in recovery)")
    if (mistake := refused_encoding(encoding)) is not None:
        return mistake
    return None
