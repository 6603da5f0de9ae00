"""The database of GitLab's registry, opened to be read at one moment."""

import contextlib
from collections.abc import AsyncIterator

from moorage.errors import ConfigurationError, Mistake
from moorage.metadata.gitlab_tables import GitLabTables

_CONNECT_S = 10.0
_KNOWS = "SELECT to_regclass('schema_migrations') IS NOT NULL AND to_regclass('repository_blobs') IS NOT NULL"


@contextlib.asynccontextmanager
async def gitlab_tables(dsn: str) -> AsyncIterator[GitLabTables]:
    """Open the database that *dsn* names until the block ends; nothing in it is changed, and its writers go on.

    Raises:
        ConfigurationError: it cannot be reached, or is none of GitLab's registry. The password is not shown.
    """
    import asyncpg  # noqa: PLC0415 - an import of link files need not wait for it

    from moorage.metadata.sql.gitlab_tables import SqlGitLabTables  # noqa: PLC0415 - as above

    try:
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        message = f"the database cannot be reached: {type(exc).__name__}: {str(exc).replace(dsn, '…') or 'no answer'}"
        raise ConfigurationError([Mistake("--from-gitlab-database", message)]) from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if not await connection.fetchval(_KNOWS):
                message = "it has no tables of GitLab's registry (schema_migrations, repository_blobs)"
                raise ConfigurationError([Mistake("--from-gitlab-database", message)])
            yield SqlGitLabTables(connection)
    finally:
        await connection.close()
