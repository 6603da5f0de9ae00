"""A check's questions to the tables, and a repair's changes in them."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from moorage.errors import DatabaseConflict
from moorage.metadata.integrity import (
    BlobRecord,
    BlobRecordStore,
    BlobRepairStore,
    BlobRow,
    ManifestRecord,
    ManifestRecordStore,
    ManifestRepairStore,
    Relations,
)
from moorage.metadata.reviews import CLAIM
from moorage.metadata.sql.digest_keys import digest_key, digest_of
from moorage.oci.digests import Digest
from moorage.sql import clock
from moorage.sql.base import Database, NamedQuery, Row, Value, moment
from moorage.sql.collisions import done_again
from moorage.sql.queries import load_queries

QUERIES = load_queries("moorage.metadata.sql", "integrity")

_LIFE_BITS = 62
"""As a push draws it, so that no push takes a row of ours for the one that it made."""


class SqlBlobRecords(BlobRecordStore):
    """``blobs`` and ``gc_blob_review_queue``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, *, after: Digest | None, limit: int) -> Sequence[BlobRecord]:
        key = b"" if after is None else digest_key(after)
        return [_blob(row) for row in await self._database.all(QUERIES["blobs_after"], key, limit, heavy=True)]

    async def look(self, digests: Collection[Digest]) -> Mapping[Digest, BlobRecord]:
        if not digests:
            return {}
        keys = sorted(digest_key(digest) for digest in digests)
        records = [_blob(row) for row in await self._database.all(QUERIES["look_at_blobs"], keys)]
        return {record.digest: record for record in records}


class SqlBlobRepairs(BlobRepairStore):
    """The same, and the claims of garbage collection (see ``reviews.py``)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = f"check-{secrets.token_hex(8)}"

    async def claim(self, digest: Digest) -> bool:
        arguments = (digest_key(digest), _new_life(), self._holder, CLAIM // timedelta(microseconds=1))
        return bool(await self._database.write(QUERIES["claim_blob"], *arguments))

    async def release(self, digest: Digest) -> None:
        await self._database.write(QUERIES["release_blob"], digest_key(digest), self._holder)

    async def mark(self, digest: Digest) -> bool:
        return await self._change(QUERIES["mark_blob"], digest)

    async def unmark(self, digest: Digest) -> bool:
        return await self._change(QUERIES["unmark_blob"], digest)

    async def resize(self, digest: Digest, size_bytes: int) -> bool:
        return await self._change(QUERIES["resize_blob"], digest, size_bytes)

    async def review(self, digest: Digest) -> None:
        await self._database.write(QUERIES["review_blob"], digest_key(digest), _new_life())

    async def _change(self, query: NamedQuery, digest: Digest, *more: Value) -> bool:
        async with self._database.transaction() as transaction:
            now = await clock.now(transaction)
            rows = await transaction.all(query, digest_key(digest), self._holder, now, *more)
        return bool(rows)


class SqlManifestRecords(ManifestRecordStore):
    """``manifests``, and what refers to what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, *, after: int, limit: int, limit_bytes: int) -> Sequence[ManifestRecord]:
        rows = await self._database.all(QUERIES["manifests_after"], after, limit, limit_bytes, heavy=True)
        return [_manifest(row) for row in rows]

    async def page_of_digests(self, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        rows = await self._database.all(QUERIES["page_of_digests"], after, limit, heavy=True)
        return [(row[0], digest_of(bytes(row[1]))) for row in rows]

    async def look(self, ids: Collection[int]) -> Mapping[int, ManifestRecord]:
        rows = await self._database.all(QUERIES["look_at_manifests"], sorted(ids)) if ids else ()
        return {row[0]: _manifest(row) for row in rows}

    async def relations(self, ids: Collection[int]) -> Mapping[int, Collection[Digest]]:
        found: defaultdict[int, set[Digest]] = defaultdict(set)
        for identity, key in await self._database.all(QUERIES["relations"], sorted(ids), heavy=True) if ids else ():
            found[identity].add(digest_of(bytes(key)))
        return found


class SqlManifestRepairs(ManifestRepairStore):
    """Rows that a push of the manifest should have written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @done_again
    async def relate(self, manifest: int, wanted: Relations) -> bool:
        blobs, children = ([digest_key(digest) for digest in many] for many in (wanted.blobs, wanted.children))
        config = None if wanted.config is None else digest_key(wanted.config)
        try:
            async with self._database.transaction() as transaction:
                held = await transaction.first(QUERIES["hold_manifest"], manifest)
                if held is None:
                    return False
                if config is not None:
                    await transaction.all(QUERIES["relate_config"], manifest, held[0], config)
                if blobs:
                    await transaction.all(QUERIES["relate_blobs"], manifest, held[0], blobs)
                if children:
                    await transaction.all(QUERIES["relate_children"], manifest, held[0], children)
                loose = {*blobs, *children, *(() if config is None else (config,))}
                rows = [(key, held[0], manifest) for key in sorted(loose)]
                await transaction.run_many(QUERIES["relate_absent"], rows)
        except DatabaseConflict:
            return False  # Garbage collection took a blob between our look at it and our row.
        return True

    async def review(self, manifest: int) -> None:
        await self._database.write(QUERIES["review_manifest"], manifest)


def _new_life() -> int:
    return 1 + secrets.randbits(_LIFE_BITS)


def _blob(row: Row) -> BlobRecord:
    key, identity, created_at, size_bytes, is_marked, is_needed, is_queued = row
    found = None
    if identity is not None:
        found = BlobRow(
            id=identity,
            created_at=moment(created_at),
            size_bytes=size_bytes,
            is_marked=bool(is_marked),
            is_needed=bool(is_needed),
        )
    return BlobRecord(digest=digest_of(bytes(key)), row=found, is_queued=bool(is_queued))


def _manifest(row: Row) -> ManifestRecord:
    identity, created_at, repository, key, media_type, payload, is_needed, is_queued = row
    return ManifestRecord(
        id=identity,
        created_at=moment(created_at),
        repository=repository,
        digest=digest_of(bytes(key)),
        media_type=media_type,
        payload=bytes(payload),
        is_needed=bool(is_needed),
        is_queued=bool(is_queued),
    )
