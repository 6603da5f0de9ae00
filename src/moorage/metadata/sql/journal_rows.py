"""The needs of every change: the queries, the moment, a row of the journal, and a repository's row."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime

from moorage.metadata.base import Cause
from moorage.metadata.sql.digest_keys import PORTION, digest_key
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, NamedQuery, Row, Transaction
from moorage.sql.queries import load_queries

QUERIES = load_queries("moorage.metadata.sql")


def now() -> datetime:
    """The moment, as rows keep it."""
    return datetime.now(UTC)


def journal_row(
    name: RepositoryName,
    action: str,
    *,
    repository_id: int,
    cause: Cause,
    at: datetime,
    tag: str | None = None,
    from_key: bytes | None = None,
    to_key: bytes | None = None,
) -> tuple[datetime, str, str, str, str, int, str, str | None, bytes | None, bytes | None]:
    """The arguments of ``write_journal``."""
    who = (cause.request_id, cause.actor, cause.reason)
    return (at, *who, action, repository_id, name.text, tag, from_key, to_key)


async def repository_id(transaction: Transaction, name: RepositoryName, at: datetime, *, populate: bool = False) -> int:
    """The id of a repository, which is made if it is not there; with *populate* it has had a manifest from now on.

    For SQLite, whose transactions are serial; PostgreSQL has a function for it.
    """
    row = await transaction.first(QUERIES["repository"], name.text)
    if row is None:
        namespace = name.text.partition("/")[0]
        await transaction.all(QUERIES["add_namespace"], namespace, at)
        row = await transaction.first(QUERIES["add_repository"], namespace, name.text, at)
        assert row is not None  # noqa: S101 - INSERT … RETURNING gives the row
        row = (row[0], None)
    if populate and row[1] is None:
        await transaction.all(QUERIES["populate_repository"], row[0], at)
    identity: int = row[0]
    return identity


async def portions_of_known(
    database: Database, query: NamedQuery, name: RepositoryName, digests: Collection[Digest]
) -> AsyncIterator[tuple[Sequence[Digest], Sequence[Row]]]:
    """Ask for *digests* in portions, so that others have turns; each comes with what *query* finds of it."""
    wanted = list(digests)
    size = PORTION if database.dialect == "sqlite" else 10 * PORTION  # There each is a round trip.
    for start in range(0, len(wanted), size):
        if start:
            await asyncio.sleep(0)
        part = wanted[start : start + size]
        yield part, await database.all(query, name.text, [digest_key(digest) for digest in part])


async def missing_of_known(
    database: Database, query: NamedQuery, name: RepositoryName, digests: Collection[Digest]
) -> set[Digest]:
    """Those of *digests* that *query* does not find in the repository."""
    missing: set[Digest] = set()
    async for part, rows in portions_of_known(database, query, name, digests):
        found = {bytes(row[0]) for row in rows}
        missing |= {digest for digest in part if digest_key(digest) not in found}
    return missing
