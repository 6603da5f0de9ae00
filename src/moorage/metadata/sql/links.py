"""The blobs of each repository, in a database."""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence

from moorage.errors import BeingRemoved, BlobReferenced, BlobUnknown
from moorage.metadata.base import UNEXPLAINED, Cause, Expectation, LinkedBlob, LinkStore, RemovalWatch
from moorage.metadata.sql.digest_keys import PORTION, digest_key, digest_of
from moorage.metadata.sql.journal_rows import QUERIES, journal_row, now, portions_of_known
from moorage.metadata.sql.outbox import write_notices
from moorage.metadata.sql.push_writers import push_writer
from moorage.metadata.sql.push_writing import NewLink
from moorage.notifications.events import Notice
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, Transaction
from moorage.sql.collisions import done_again

_REMOVAL_PATIENCE_S = 10.0
"""Seconds that a push waits for garbage collection to be done with the same digest."""
_REMOVAL_PAUSE_S = 0.05
_TOKEN_BITS = 62
_NEEDING_SHOWN = 20
"""So many of the manifests that need a blob a refusal names."""


class SqlLinks(LinkStore):
    """``blobs`` and ``repository_blobs``. Whether the bytes are in storage is garbage collection's business."""

    def __init__(self, database: Database, *, puts_off: bool = True) -> None:
        """*puts_off*: whether a promise may put off a review; not where nothing is written."""
        self._database = database
        self._pushes = push_writer(database)
        self._puts_off = puts_off
        self._removals: int | None = None
        """The number of times that blobs were removed, as it was a while ago: if there are more, it is only told so."""

    async def expect(self, digest: Digest) -> Expectation:
        deadline = asyncio.get_running_loop().time() + _REMOVAL_PATIENCE_S
        while True:
            expectation = await self._expect(digest)
            if expectation is not None:
                return expectation
            if asyncio.get_running_loop().time() > deadline:
                msg = f"garbage collection is removing {digest} right now"
                raise BeingRemoved(msg)
            await asyncio.sleep(_REMOVAL_PAUSE_S)

    async def watch(self) -> RemovalWatch | None:
        removals = self._removals
        if removals is None:
            row = await self._database.first(QUERIES["removals"])
            removals = self._removals = 0 if row is None else int(row[0])
        return RemovalWatch(removals)

    async def find(self, name: RepositoryName | None, digest: Digest) -> LinkedBlob | None:
        key = digest_key(digest)
        if name is None:
            row = await self._database.first(QUERIES["known_blob"], key)
        else:
            row = await self._database.first(QUERIES["has_blob"], name.text, key, repository=name.text)
        return None if row is None else LinkedBlob(row[0])

    async def promise(self, name: RepositoryName, digest: Digest) -> LinkedBlob | None:
        key = digest_key(digest)
        row = await self._database.first(QUERIES["asked_blob"], name.text, key, repository=name.text)
        if row is None:
            return None
        # Nothing to put off: it is claimed or gone, or was found to be needed and has left the queue.
        if row[0] and self._puts_off and not await self._database.write(QUERIES["put_off_blob"], key):
            return LinkedBlob(row[1]) if await self._is_settled(name, key) else None
        return LinkedBlob(row[1])

    async def find_each(self, name: RepositoryName, digests: Collection[Digest]) -> Mapping[Digest, LinkedBlob]:
        found: dict[Digest, LinkedBlob] = {}
        async for _, rows in portions_of_known(self._database, QUERIES["known_blobs"], name, digests):
            found |= {digest_of(row[0]): LinkedBlob(row[1]) for row in rows}
        return found

    async def link(
        self,
        name: RepositoryName,
        digest: Digest,
        expectation: Expectation | RemovalWatch,
        *,
        size_bytes: int,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        told = cause.announcer.blob_pushed(name, digest, size_bytes)
        return await self._link(name, digest, expectation, size_bytes=size_bytes, told=told)

    async def mount(
        self,
        name: RepositoryName,
        digest: Digest,
        *,
        source: RepositoryName | None,
        size_bytes: int | None = None,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        if source is not None:
            row = await self._database.first(QUERIES["has_blob"], source.text, digest_key(digest))
        else:
            row = await self._database.first(QUERIES["known_blob"], digest_key(digest))
        # It may be waiting for garbage collection: from now on it is wanted again, unless that is at it already.
        expectation = None if row is None else await self._expect(digest)
        if expectation is None:
            return False
        told = cause.announcer.blob_mounted(name, digest, size_bytes, source=source)
        return await self._link(name, digest, expectation, size_bytes=None, told=told)

    @done_again
    async def unlink(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        at, key = now(), digest_key(digest)
        async with self._database.transaction(repository=name.text) as transaction:
            held = await transaction.first(QUERIES["hold_blob"], name.text, key)
            if held is None:  # It may be there in a moment, with a manifest that needs it.
                raise _not_here(digest)
            blob, repository = held
            await _refuse_needed(transaction, digest, blob_id=blob, repository_id=repository)
            if await transaction.first(QUERIES["unlink_blob"], repository, blob, at) is None:
                raise _not_here(digest)
            entry = journal_row(name, "blob_delete", repository_id=repository, cause=cause, at=at, from_key=key)
            await transaction.all(QUERIES["write_journal"], *entry)
            await write_notices(transaction, cause.announcer.blob_deleted(name, digest))

    async def _expect(self, digest: Digest) -> Expectation | None:
        """As :meth:`expect`, without waiting: None while the digest is being removed."""
        token = _new_token()
        rows = await self._database.write(QUERIES["expect_blob"], digest_key(digest), token)
        return Expectation(rows[0][0]) if rows else None

    async def _is_settled(self, name: RepositoryName, key: bytes) -> bool:
        """Return whether the primary has the blob, and no review of it, or one that finds that it is needed."""
        row = await self._database.first(QUERIES["asked_blob"], name.text, key)
        if row is None or row[0] is None:
            return row is not None
        # Code that removes what needs it gives it a delay of its own, which a review that goes on will see.
        return await self._database.first(QUERIES["needed_blob"], key) is not None

    async def _link(
        self,
        name: RepositoryName,
        digest: Digest,
        expectation: Expectation | RemovalWatch,
        *,
        size_bytes: int | None,
        told: Sequence[Notice],
    ) -> bool:
        """Link a blob; with *size_bytes* None only one that is known. Whether it is linked now."""
        removals: int | None = None
        if isinstance(expectation, RemovalWatch):
            token, removals = _new_token(), expectation.removals
        else:
            token = expectation.token
        link = NewLink(digest=digest_key(digest), size_bytes=size_bytes, token=token, at=now(), removals=removals)
        is_linked = await self._pushes.link_blob(name, link, told=told)
        if removals is not None and not is_linked:
            self._removals = None  # There may have been more.
        return is_linked


def _new_token() -> int:
    return random.getrandbits(_TOKEN_BITS)  # It tells rows apart, and lets nobody in.


def _not_here(digest: Digest) -> BlobUnknown:
    return BlobUnknown("the blob is not in the repository", digest=str(digest))


async def _refuse_needed(transaction: Transaction, digest: Digest, *, blob_id: int, repository_id: int) -> None:
    """Refuse to take out a blob that a manifest needs, in a transaction that keeps new ones from doing so."""
    needing = await transaction.all(QUERIES["waiting_for_blob"], digest_key(digest), repository_id, _NEEDING_SHOWN)
    for query in ("needing_as_layer", "needing_as_config"):
        last = 0
        while not needing:  # In parts, as very many manifests of other repositories may need it too.
            rows = await transaction.all(QUERIES[query], blob_id, repository_id, last, PORTION)
            needing = [row for row in rows if row[2]]
            if len(rows) < PORTION:
                break
            last = rows[-1][0]
            await asyncio.sleep(0)
    if needing:
        raise BlobReferenced(str(digest), manifests=[str(digest_of(row[1])) for row in needing[:_NEEDING_SHOWN]])
