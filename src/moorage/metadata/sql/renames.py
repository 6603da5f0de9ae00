"""Giving repositories other names, in the database.

A repository is its row: tags, manifests and links follow its id, so a rename changes rows of one table only. All of
them change in one transaction, which is also what keeps writers apart: a push looks its repository up by path and then
holds the row, so it is wholly before the rename or wholly after it. Nothing has to be refused meanwhile.

What lies in storage under the old path stays there: uploads that are running. They go on under the old name, and what
they close into is a repository of that name.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from moorage.errors import DatabaseConflict, NameInvalid, NameUnknown
from moorage.gitlab_errors import RenameConflict, TooManyRepositories
from moorage.metadata.base import Cause, no_repository
from moorage.metadata.details import RenameStore
from moorage.metadata.sql.outbox import move_lanes, write_notices
from moorage.oci.names import NAME_LENGTH_LIMIT, RepositoryName
from moorage.sql.base import Database, NamedQuery, Row, Transaction, Value
from moorage.sql.collisions import done_again
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "renames")


class SqlRenames(RenameStore):
    """Changes paths, and writes a row of the journal for each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, name: RepositoryName, target: RepositoryName, *, limit: int) -> None:
        await _movable(self._database, name, target, limit=limit, query="movable")

    @done_again
    async def rename(self, name: RepositoryName, target: RepositoryName, *, limit: int, cause: Cause) -> int:
        try:
            async with self._database.transaction(repository=target.text) as transaction:
                rows = await _movable(transaction, name, target, limit=limit, query="locked")
                await _move(transaction, rows, name, target, cause=cause)
                await move_lanes(transaction, name, target)
                await write_notices(transaction, cause.announcer.renamed(name, target))
        except DatabaseConflict as exc:
            raise _taken(target) from exc
        # The old names as well: a replica that is behind would still have them.
        paths = [row[1] for row in rows]
        moved = [f"{target.text}{path[len(name.text) :]}" for path in paths]
        await self._database.announce([*paths, *moved])
        return len(rows)


class _Reads(Protocol):
    """A database, or a transaction in it."""

    async def all(self, query: NamedQuery, *args: Value) -> Sequence[Row]: ...

    async def first(self, query: NamedQuery, *args: Value) -> Row | None: ...


async def _movable(
    reads: _Reads, name: RepositoryName, target: RepositoryName, *, limit: int, query: str
) -> Sequence[Row]:
    """The id and path of every repository that is to move; see :meth:`RenameStore.rename` for what is refused."""
    namespace = _namespace(name)
    if await reads.first(_QUERIES["has_namespace"], namespace) is None:
        msg = "there is no repository in this namespace"
        raise NameUnknown(msg, namespace=namespace)
    rows = await reads.all(_QUERIES[query], name.text, limit + 1)
    if not rows:
        raise no_repository(name)
    if len(rows) > limit:
        msg = f"at most {limit} repositories can be renamed at once"
        raise TooManyRepositories(msg, limit=limit)
    longest = max(len(path) for _, path in rows) - len(name.text) + len(target.text)
    if longest > NAME_LENGTH_LIMIT:
        msg = f"a repository below would have a name of {longest} characters, {NAME_LENGTH_LIMIT} are possible"
        raise NameInvalid(msg)
    if await reads.first(_QUERIES["is_taken"], target.text) is not None:
        raise _taken(target)
    return rows


async def _move(
    transaction: Transaction, rows: Sequence[Row], name: RepositoryName, target: RepositoryName, *, cause: Cause
) -> None:
    now, namespace = datetime.now(UTC), _namespace(target)
    if namespace != _namespace(name):
        await transaction.all(_QUERIES["add_namespace"], namespace, now)
    await transaction.all(_QUERIES["rename"], [row[0] for row in rows], name.text, target.text, namespace, now)
    common = (now, cause.request_id, cause.actor, cause.reason)
    start = len(name.text)
    journal = [
        (*common, identity, path, json.dumps({"from": path, "to": f"{target.text}{path[start:]}"}))
        for identity, path in rows
    ]
    await transaction.run_many(_QUERIES["write_journal"], journal)


def _namespace(name: RepositoryName) -> str:
    return name.text.partition("/")[0]


def _taken(target: RepositoryName) -> RenameConflict:
    return RenameConflict("there is already a repository at the new name, or below it", path=target.text)
