"""Rows of what link files say, written into a database by the same statements in both kinds."""

import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from moorage.metadata.base import Cause
from moorage.metadata.imports import FoundBlob, FoundManifest, FoundTag, ImportStore
from moorage.metadata.sql.adoptions import AdoptionClaim
from moorage.metadata.sql.digest_keys import PORTION, digest_key
from moorage.metadata.sql.import_reads import QUERIES, SqlImportReads
from moorage.metadata.sql.journal_rows import QUERIES as COMMON
from moorage.metadata.sql.journal_rows import journal_row, now
from moorage.metadata.sql.new_manifest import NewManifest
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, NamedQuery, Transaction, Value

_Item = TypeVar("_Item")

_FIRST_LOOK = 1000
_GROWTH = 10
"""PostgreSQL is told to look at its tables after so many manifests, and again each time that there are so many times
as many: it does so by itself once a minute, and plans until then for the few rows that there were at first."""

_CAUSE = Cause(reason="imported from link files")
_GONE = Cause(reason="not in link files any more")


class SqlImports(SqlImportReads, ImportStore):
    """Transactions of as many rows as the caller gives at a time."""

    def __init__(self, database: Database, claim: AdoptionClaim | None = None) -> None:
        """*claim*: without it nothing is written, as others write to the database meanwhile; None: nobody does."""
        super().__init__(database)
        self._claim = claim
        self._taken, self._looks_at = 0, _FIRST_LOOK

    async def take_repository(self, name: RepositoryName, *, is_populated: bool) -> None:
        async with self._writing(name) as transaction:
            await _repository(transaction, name)
            if is_populated:
                await transaction.all(QUERIES["populate"], name.text, now())

    async def take_blobs(self, name: RepositoryName, blobs: Sequence[FoundBlob]) -> None:
        # In the order of the digests, so that two never wait for each other in a circle.
        found = sorted((digest_key(blob.digest), blob) for blob in {blob.digest: blob for blob in blobs}.values())
        async with self._writing(name) as transaction:
            repository = await _repository(transaction, name)
            at = now()
            await transaction.run_many(QUERIES["take_blob"], [(key, blob.size_bytes, at) for key, blob in found])
            links = [(repository, key, blob.linked_at) for key, blob in found]
            await transaction.run_many(QUERIES["take_link"], links)

    async def take_manifests(self, name: RepositoryName, manifests: Sequence[FoundManifest]) -> None:
        made = [
            (NewManifest.of(found.stored, found.manifest, found.configuration), found.linked_at) for found in manifests
        ]
        keys = [new.digest for new, _ in made]
        async with self._writing(name) as transaction:
            repository = await _repository(transaction, name)
            before = await _ids(transaction, repository, keys)
            await transaction.run_many(
                QUERIES["take_manifest"], [_columns(repository, new, linked_at) for new, linked_at in made]
            )
            ids = before | await _ids(transaction, repository, [key for key in keys if key not in before])
            again = [(ids[key],) for key in before]
            if again:
                await transaction.run_many(QUERIES["forget_sparse"], again)
            await _relate(transaction, name, {ids[new.digest]: new for new, _ in made}, repository=repository)
            fresh = [key for key in keys if key not in before]
            await _note(transaction, name, [("manifest_create", None, None, key) for key in fresh], repository)
            self._taken += len(fresh)
            if self._taken >= self._looks_at:
                self._looks_at = _GROWTH * self._taken
                await transaction.all(QUERIES["look_at_tables"])

    async def take_tags(self, name: RepositoryName, tags: Sequence[FoundTag]) -> Sequence[FoundTag]:
        async with self._writing(name) as transaction:
            repository = await _repository(transaction, name)
            ids = await _ids(transaction, repository, sorted({digest_key(tag.digest) for tag in tags}))
            there: dict[str, tuple[int, bytes]] = {}
            for part in _parts([tag.name for tag in tags]):
                rows = await transaction.all(QUERIES["targets_of_tags"], repository, part)
                there |= {row[0]: (row[1], bytes(row[2])) for row in rows}
            known = [(tag, digest_key(tag.digest)) for tag in tags if digest_key(tag.digest) in ids]
            new = [(tag, key) for tag, key in known if tag.name not in there]
            moved = [(tag, key) for tag, key in known if tag.name in there and there[tag.name][1] != key]
            rows = [(repository, tag.name, ids[key], tag.linked_at) for tag, key in new]
            await _many(transaction, QUERIES["take_tag"], rows)
            await _many(
                transaction, QUERIES["move_tag"], [(there[tag.name][0], ids[key], tag.linked_at) for tag, key in moved]
            )
            entries: list[_Entry] = [("tag_create", tag.name, None, key) for tag, key in new]
            entries += [("tag_move", tag.name, there[tag.name][1], key) for tag, key in moved]
            await _note(transaction, name, entries, repository)
            if new or moved:
                last = max(tag.linked_at for tag, _ in (*new, *moved))
                await transaction.all(QUERIES["publish"], repository, last)
        return [tag for tag in tags if digest_key(tag.digest) not in ids]

    async def drop_tags(self, name: RepositoryName, tags: Collection[str]) -> None:
        async with self._writing(name) as transaction:
            repository = await _repository(transaction, name)
            there: dict[str, bytes] = {}
            for part in _parts(sorted(tags)):
                rows = await transaction.all(QUERIES["targets_of_tags"], repository, part)
                there |= {row[0]: bytes(row[2]) for row in rows}
            await _many(transaction, QUERIES["drop_tag"], [(repository, tag) for tag in there])
            entries = [("tag_delete", tag, key, None) for tag, key in there.items()]
            await _note(transaction, name, entries, repository, cause=_GONE)

    async def drop_manifests(self, name: RepositoryName, digests: Collection[Digest]) -> None:
        keys, at = sorted(digest_key(digest) for digest in digests), now()
        async with self._writing(name) as transaction:
            repository = await _repository(transaction, name)
            ids = await _ids(transaction, repository, keys)
            tags: list[str] = []
            for part in _parts(list(ids.values())):
                tags += [row[0] for row in await transaction.all(QUERIES["tags_of_manifests"], part)]
            await _many(transaction, QUERIES["drop_tag"], [(repository, tag) for tag in tags])
            await _many(transaction, QUERIES["drop_manifest"], [(row, at) for row in ids.values()])
            entries = [("manifest_delete", None, key, None) for key in ids]
            await _note(transaction, name, entries, repository, cause=_GONE)

    async def drop_blobs(self, name: RepositoryName, ids: Collection[int]) -> None:
        at = now()
        async with self._writing(name) as transaction:
            repository = await _repository(transaction, name)
            await _many(transaction, QUERIES["drop_link"], [(repository, row, at) for row in sorted(ids)])

    async def forget_repository(self, name: RepositoryName) -> None:
        await self._database.write(QUERIES["forget_repository"], name.text, repository=name.text)

    async def review(self, digests: Collection[Digest]) -> None:
        keys = sorted(digest_key(digest) for digest in digests)
        async with self._database.transaction() as transaction:
            await _many(transaction, QUERIES["review"], [(key,) for key in keys])

    @contextlib.asynccontextmanager
    async def _writing(self, name: RepositoryName) -> AsyncIterator[Transaction]:
        async with self._database.transaction(repository=name.text) as transaction:
            if self._claim is not None:
                await self._claim.hold(transaction, name)
            yield transaction


_Entry = tuple[str, str | None, bytes | None, bytes | None]
"""A change, its tag, and the digests before and after it."""


async def _repository(transaction: Transaction, name: RepositoryName) -> int:
    row = await transaction.first(QUERIES["repository_id"], name.text)
    if row is None:
        at, namespace = now(), name.text.partition("/")[0]
        await transaction.all(QUERIES["take_namespace"], namespace, at)
        await transaction.all(QUERIES["take_repository"], namespace, name.text, at)
        row = await transaction.first(QUERIES["repository_id"], name.text)
    assert row is not None  # noqa: S101 - it was made a moment ago
    found: int = row[0]
    return found


async def _ids(transaction: Transaction, repository: int, keys: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for part in _parts(keys):
        rows = await transaction.all(QUERIES["ids_of_manifests"], repository, part)
        found |= {bytes(row[0]): row[1] for row in rows}
    return found


async def _relate(
    transaction: Transaction, name: RepositoryName, made: Mapping[int, NewManifest], *, repository: int
) -> None:
    """Note what manifests need: as parts of theirs what the repository has, as awaited what it has not."""
    wanted = sorted({key for new in made.values() for key in new.needs})
    blobs: set[bytes] = set()
    for part in _parts(wanted):
        rows = await transaction.all(COMMON["known_blobs"], name.text, part)
        blobs |= {bytes(row[0]) for row in rows}
    children = await _ids(transaction, repository, sorted({key for new in made.values() for key in new.children}))
    layers = [(row, key) for row, new in made.items() for key in new.blobs if key in blobs]
    listed = [
        (row, children[key]) for row, new in made.items() for key in new.children if children.get(key, row) != row
    ]
    awaited = [
        (key, repository, row)
        for row, new in made.items()
        for key in sorted(new.needs - {new.digest})
        if key not in blobs and not (key in new.children and key in children)
    ]
    await _many(transaction, QUERIES["take_layer"], layers)
    await _many(transaction, QUERIES["take_reference"], listed)
    await _many(transaction, QUERIES["take_sparse"], awaited)


async def _note(
    transaction: Transaction,
    name: RepositoryName,
    entries: Iterable[_Entry],
    repository: int,
    *,
    cause: Cause = _CAUSE,
) -> None:
    at = now()
    rows = [
        journal_row(name, action, repository_id=repository, cause=cause, at=at, tag=tag, from_key=before, to_key=after)
        for action, tag, before, after in entries
    ]
    await _many(transaction, COMMON["write_journal"], rows)


async def _many(transaction: Transaction, query: NamedQuery, rows: Sequence[Sequence[Value]]) -> None:
    if rows:
        await transaction.run_many(query, rows)


def _columns(repository: int, new: NewManifest, linked_at: datetime) -> tuple[Value, ...]:
    digest, media_type, artifact_type, payload, total_size, *rest = new.arguments()[:10]
    annotations_size = None if new.annotations is None else len(new.annotations)
    sizes = (len(new.payload), total_size)
    return (repository, digest, media_type, artifact_type, payload, *sizes, *rest, annotations_size, linked_at)


def _parts(items: Sequence[_Item]) -> Iterable[list[_Item]]:
    return (list(items[start : start + PORTION]) for start in range(0, len(items), PORTION))
