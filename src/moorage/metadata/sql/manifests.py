"""Manifests and tags of each repository."""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from moorage.errors import ManifestReferenced, ManifestUnknown, NameUnknown, ReferencesUnknown
from moorage.metadata.aside import aside
from moorage.metadata.base import (
    INLINE_BYTES,
    NOTHING_EXPECTED,
    REFERRERS_PAGE_BYTES,
    Cause,
    ManifestStore,
    Page,
    moved_since,
    no_repository,
)
from moorage.metadata.sql.digest_keys import PORTION, digest_key, digest_of
from moorage.metadata.sql.journal_rows import QUERIES, journal_row, missing_of_known, now
from moorage.metadata.sql.new_manifest import NewManifest
from moorage.metadata.sql.outbox import write_notices
from moorage.metadata.sql.push_writers import push_writer
from moorage.metadata.sql.push_writing import ManifestChange
from moorage.oci.digests import Digest, digest_or_none
from moorage.oci.json_documents import read_json, write_json
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest, is_unwritable
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.sql.base import Database, Row, Transaction, Value
from moorage.sql.collisions import done_again
from moorage.work.large_payloads import in_its_turn

_INDEXES_SHOWN = 20
"""So many of the indexes that list a manifest a refusal names."""


class SqlManifests(ManifestStore):
    """``manifests``, ``layers``, ``manifest_references`` and ``tags``.

    A deleted manifest stays, with what it refers to, until garbage collection takes it: so it can come back.
    """

    keeps_configurations: ClassVar[bool] = True

    def __init__(self, database: Database, *, puts_off: bool = True) -> None:
        """*puts_off*: whether a promise may put off a review; not where nothing is written."""
        self._database = database
        self._pushes = push_writer(database)
        self._puts_off = puts_off

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        row = await self._database.first(QUERIES["has_manifest"], name.text, digest_key(digest), repository=name.text)
        return row is not None

    async def find(self, name: RepositoryName, reference: Reference) -> StoredManifest:
        path = name.text
        if isinstance(reference, Tag):
            row = await self._database.recall(QUERIES["manifest_by_tag"], path, reference.text, repository=path)
        else:
            row = await self._database.recall(
                QUERIES["manifest_by_digest"], path, digest_key(reference), repository=path
            )
        if row is None:
            raise await self._unknown(name, reference)
        return StoredManifest(digest_of(row[0]), row[1], row[2])

    async def promise(self, name: RepositoryName, digest: Digest) -> StoredManifest:
        path = name.text
        row = await self._database.first(QUERIES["asked_manifest"], path, digest_key(digest), repository=path)
        if row is not None and row[4] and self._puts_off:
            # It waits for a review that has the row. If there is nothing to put off, it has gone, or is needed.
            await self._database.write(QUERIES["put_off_manifest"], row[3])
            row = await self._database.first(QUERIES["asked_manifest"], path, digest_key(digest))
        if row is None:
            raise await self._unknown(name, digest)
        return StoredManifest(digest_of(row[0]), row[1], row[2])

    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return await missing_of_known(self._database, QUERIES["known_manifests"], name, digests)

    async def put(
        self,
        name: RepositoryName,
        stored: StoredManifest,
        manifest: Manifest,
        *,
        tags: Sequence[Tag],
        cause: Cause,
        required: Collection[Digest] = (),
        configuration: bytes | None = None,
        expected: Mapping[Tag, Digest | None] = NOTHING_EXPECTED,
    ) -> None:
        make = NewManifest.of
        if len(manifest.references) > PORTION:
            new = await in_its_turn(make, stored, manifest, configuration)
            needed = await in_its_turn(_keys, required)
        else:
            new, needed = make(stored, manifest, configuration), _keys(required)
        told = await aside(len(stored.payload), cause.announcer.manifest_pushed, name, stored, manifest, tags)
        names = sorted(tag.text for tag in tags)
        keys = {tag.text: None if there is None else digest_key(there) for tag, there in expected.items()}
        change = ManifestChange(manifest=new, tags=names, required=needed, at=now(), cause=cause, expected=keys)
        missing = await self._pushes.put_manifest(name, change, told=told)
        if missing:
            raise ReferencesUnknown.of(missing)

    @done_again
    async def delete(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        at, key, held = now(), digest_key(digest), None
        async with self._database.transaction(repository=name.text) as transaction:
            repository = await transaction.first(QUERIES["lock_repository"], name.text)
            if repository is not None:
                held = await transaction.first(QUERIES["hold_manifest"], repository[0], key)
            # One that is not there now may be in a moment, with an index that lists it.
            if repository is not None and held is not None:
                await _refuse_listed(transaction, digest, row_id=held[0], repository_id=repository[0])
                await transaction.all(QUERIES["delete_manifest"], held[0], at)
                gone = sorted(item[0] for item in await transaction.all(QUERIES["delete_tags_of_manifest"], held[0]))
                changes = [*[("tag_delete", tag) for tag in gone], ("manifest_delete", None)]
                entries = [
                    journal_row(name, action, repository_id=repository[0], cause=cause, at=at, tag=tag, from_key=key)
                    for action, tag in changes
                ]
                await transaction.run_many(QUERIES["write_journal"], entries)
                await write_notices(transaction, cause.announcer.manifest_deleted(name, digest, gone))
        if held is None:
            raise await self._unknown(name, digest)

    @done_again
    async def untag(self, name: RepositoryName, tag: Tag, *, cause: Cause, seen: Digest | None = None) -> None:
        at = now()
        async with self._database.transaction(repository=name.text) as transaction:
            repository = await transaction.first(QUERIES["lock_repository"], name.text)
            row = repository and await transaction.first(QUERIES["delete_tag"], repository[0], tag.text)
            if repository and row:
                target = await transaction.first(QUERIES["digest_of_manifest"], row[0])
                if seen is not None and (target is None or bytes(target[0]) != digest_key(seen)):
                    raise moved_since(tag)  # Which ends the transaction: the tag stays.
                entry = journal_row(
                    name,
                    "tag_delete",
                    repository_id=repository[0],
                    cause=cause,
                    at=at,
                    tag=tag.text,
                    from_key=None if target is None else target[0],
                )
                await transaction.all(QUERIES["write_journal"], *entry)
                await write_notices(transaction, cause.announcer.tag_deleted(name, tag.text))
        if not row:
            raise await self._unknown(name, tag)

    async def referrers(
        self, name: RepositoryName, subject: Digest, *, artifact_type: str | None, after: str, limit: int
    ) -> Page[Descriptor]:
        if artifact_type is not None and is_unwritable(artifact_type):
            return Page([], more=False)
        arguments = (digest_key(subject), _key_after(after), artifact_type, limit + 1, REFERRERS_PAGE_BYTES)
        rows, total = await self._referring(name, arguments)
        if sum(len(row[4]) for row in rows) > INLINE_BYTES:
            return await in_its_turn(_page, rows, total, limit)
        return _page(rows, total, limit)

    async def _referring(self, name: RepositoryName, arguments: Sequence[Value]) -> tuple[Sequence[Row], int]:
        """The rows of a page, and how many there are of them and of one page's length after them."""
        path = name.text
        if self._database.dialect == "postgres":
            rows = await self._database.all(QUERIES["referrers"], path, *arguments, repository=path)
            return rows, rows[0][-1] if rows else 0
        found = await self._database.all(QUERIES["referring"], path, *arguments, repository=path)
        if not found:
            return (), 0
        is_heavy = sum(row[2] for row in found) > INLINE_BYTES
        ids = [row[0] for row in found]
        return await self._database.all(QUERIES["referrers"], ids, repository=path, heavy=is_heavy), found[0][1]

    async def _unknown(self, name: RepositoryName, reference: Reference) -> ManifestUnknown | NameUnknown:
        if await self._database.first(QUERIES["is_populated"], name.text, repository=name.text) is None:
            return no_repository(name)
        if isinstance(reference, Tag):
            return ManifestUnknown("the repository has no such tag", name=name.text, tag=reference.text)
        return ManifestUnknown("the repository has no such manifest", name=name.text, digest=str(reference))


def _keys(digests: Collection[Digest]) -> list[bytes]:
    return [digest_key(digest) for digest in digests]


def _page(rows: Sequence[Row], total: int, limit: int) -> Page[Descriptor]:
    found: list[Descriptor] = []
    size_bytes = 0
    for key, media_type, size, kind, annotations, *_ in rows:
        descriptor = Descriptor(
            media_type=media_type,
            digest=digest_of(key),
            size_bytes=size,
            artifact_type=kind,
            annotations=read_json(annotations),
        )
        size_bytes += len(write_json(descriptor.to_json(), parts=len(descriptor.annotations))) + 1
        if len(found) == limit or (found and size_bytes > REFERRERS_PAGE_BYTES):
            return Page(found, more=True)
        found.append(descriptor)
    return Page(found, more=total > len(found))


async def _refuse_listed(transaction: Transaction, digest: Digest, *, row_id: int, repository_id: int) -> None:
    """Refuse to delete a manifest that an index lists, in a transaction that keeps new ones from doing so."""
    arguments = (row_id, digest_key(digest), repository_id, _INDEXES_SHOWN)
    rows = await transaction.all(QUERIES["indexes_of_manifest"], *arguments)
    if rows:
        indexes = [str(digest_of(row[0])) for row in rows]
        raise ManifestReferenced(str(digest), indexes=indexes, count=int(rows[0][1]))


def _key_after(text: str) -> bytes:
    """The largest key that does not come after the digest *text*, which may be cut short or nonsense."""
    digest = digest_or_none(text)
    if digest is not None:
        return digest_key(digest)
    for prefix, code in (("sha512:", b"\x02"), ("sha256:", b"\x01")):
        if text > prefix:
            rest = text.removeprefix(prefix) if text.startswith(prefix) else "g"
            return code + _hexadecimal_before(rest)
    return b""


def _hexadecimal_before(text: str) -> bytes:
    """Of texts of hexadecimal digits, in bytes, one that none greater than *text* comes before."""
    digits = 64
    known = ""
    for char in text[: 2 * digits]:
        if char in "0123456789abcdef":
            known += char
            continue
        # What follows here is greater than every digit (fill with f), or less than any digit that comes up to it.
        smaller = [digit for digit in "0123456789abcdef" if digit < char]
        known += smaller[-1] + "f" * (2 * digits) if smaller else ""
        break
    return bytes.fromhex(known[: 2 * digits].ljust(2 * digits, "0"))
