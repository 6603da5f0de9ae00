"""Which blobs are in which repository."""

from collections.abc import Collection
from datetime import datetime

from moorage.errors import BlobUnknown
from moorage.metadata.base import Cause, Links
from moorage.metadata.sql.recording import QUERIES, journal_row, now, repository_id
from moorage.metadata.sql.values import digest_key, digest_of
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database


class SqlLinks(Links):
    """``blobs`` and ``repository_blobs``. Whether the bytes are in storage is garbage collection's business."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expect(self, digest: Digest) -> None:
        await self._database.write(QUERIES["expect_blob"], digest_key(digest))

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        row = await self._database.first(QUERIES["has_blob"], name.text, digest_key(digest), repository=name.text)
        return row is not None

    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        if not digests:
            return set()
        keys = [digest_key(digest) for digest in digests]
        rows = await self._database.all(QUERIES["known_blobs"], name.text, keys)
        return set(digests) - {digest_of(row[0]) for row in rows}

    async def link(self, name: RepositoryName, digest: Digest, *, size_bytes: int) -> None:
        await self._link(name, digest, size_bytes, now())

    async def mount(self, name: RepositoryName, digest: Digest, *, source: RepositoryName | None) -> bool:
        if source is not None:
            row = await self._database.first(QUERIES["has_blob"], source.text, digest_key(digest))
        else:
            row = await self._database.first(QUERIES["known_blob"], digest_key(digest))
        if row is None:
            return False
        await self.expect(digest)  # It may be waiting for garbage collection: from now on it is wanted again.
        return await self._link(name, digest, None, now())

    async def unlink(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        at, key = now(), digest_key(digest)
        async with self._database.transaction(repository=name.text) as session:
            row = await session.first(QUERIES["unlink_blob"], name.text, key, at)
            if row is not None:
                entry = journal_row(name, "blob_delete", repository_id=row[0], cause=cause, at=at, from_key=key)
                await session.all(QUERIES["write_journal"], *entry)
        if row is None:
            msg = "the blob is not in the repository"
            raise BlobUnknown(msg, digest=str(digest))

    async def _link(self, name: RepositoryName, digest: Digest, size_bytes: int | None, at: datetime) -> bool:
        """Link a blob; with *size_bytes* None only one that is known. Whether it is linked now."""
        key = digest_key(digest)
        if self._database.dialect == "postgres":
            rows = await self._database.write(
                QUERIES["link_blob"], name.text, key, size_bytes, at, repository=name.text
            )
            return bool(rows[0][0])
        async with self._database.transaction(repository=name.text) as session:
            if size_bytes is not None:
                await session.all(QUERIES["add_blob"], key, size_bytes, at)
            elif await session.first(QUERIES["known_blob"], key) is None:
                return False
            repository = await repository_id(session, name, at)
            await session.all(QUERIES["add_link"], repository, key, at)
        return True
