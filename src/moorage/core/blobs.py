"""Blobs of a repository: find, read, mount, take out."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from moorage.auth.access import Access, Action, Grant
from moorage.cache.known_links import KnownLinks
from moorage.cache.link_memory import LinkMemory
from moorage.core.damage import DamagedBlobs, size_of
from moorage.core.redirects import Redirects
from moorage.errors import BlobUnknown, PathUnknown
from moorage.metadata.base import UNEXPLAINED, Cause, LinkedBlob, LinkStore
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.room import Room
from moorage.storage import paths
from moorage.storage.base import Reader, Stat, StorageDriver
from moorage.storage.egress import UNTOLD, Egress
from moorage.storage.file_storage import keeps_files
from moorage.work.alongside import both

_UNMEASURED = -1
"""Size of a blob that is known to be in a repository, and whose bytes nobody has asked for here."""


@dataclass(frozen=True, slots=True)
class BlobFile:
    """A blob that is read through this process."""

    digest: Digest
    reader: Reader
    """Open; the receiver closes it."""


@dataclass(frozen=True, slots=True)
class BlobUrl:
    """A blob that the client fetches from storage itself."""

    digest: Digest
    url: str


class Blobs:
    """The blobs of every repository."""

    def __init__(
        self,
        storage: StorageDriver,
        links: LinkStore,
        *,
        known: LinkMemory[int] | None = None,
        redirects: Redirects | None = None,
        room: Room | None = None,
        on_damage: Callable[[], None] | None = None,
    ) -> None:
        """Take these parts.

        Args:
            storage: has the bytes.
            links: say what is in which repository.
            known: remembers which blobs repositories have, and their sizes, where links are dear to look at.
            redirects: send clients elsewhere for their bytes; None: all go through this process.
            room: what has to stay free.
            on_damage: is called each time that a client meets a damaged one.
        """
        self.damaged = DamagedBlobs(storage, links, observer=on_damage)
        self._storage = storage
        self._links = links
        self._known: LinkMemory[int] = known or KnownLinks(0)
        self._is_remote = not keeps_files(storage)
        self._redirects = redirects
        self._room = room or Room({})

    async def size(self, name: RepositoryName, digest: Digest) -> int:
        """Return how many bytes a blob has, to a client that does not fetch it (HEAD).

        It leaves out the upload and pushes a manifest that names the blob: the answer has to stay true that long.

        Raises:
            BlobUnknown: it is not in the repository, or its bytes are not in storage, or not all of them.
        """
        known, mark = await self._known.look(name, digest)
        if known is not None and known != _UNMEASURED:
            return known
        if self._is_remote:
            linked, size_bytes = await both(
                self._links.promise(name, digest), self._storage.size_bytes(paths.blob(digest))
            )
        else:
            linked = await self._links.promise(name, digest)
            size_bytes = None if linked is None else await self._readable_bytes(digest)
        if linked is None or not self.damaged.is_whole(name, digest, linked, size_bytes=size_bytes):
            raise _unknown(digest)
        size_bytes = size_bytes or 0  # A whole one has a size.
        await self._known.keep(name, digest, size_bytes, mark=mark)
        return size_bytes

    async def open(
        self, name: RepositoryName, digest: Digest, *, address: str, is_whole: bool = True, egress: Egress = UNTOLD
    ) -> BlobFile | BlobUrl:
        """Find a blob for a client at *address* that fetches it (GET), or (*is_whole* False) parts of it.

        Where the client is sent elsewhere, storage is not asked: it tells the client itself what is missing. The URL
        tells *egress*, with the blob's size where that is known without asking.

        Raises:
            BlobUnknown: as for :meth:`size`.
        """
        known, mark = await self._known.look(name, digest)
        is_known = known is not None
        linked = LinkedBlob() if is_known else await self._links.find(name, digest)
        if linked is None:
            raise _unknown(digest)
        if self._redirects is not None:
            size_bytes = linked.size_bytes if known is None or known == _UNMEASURED else known
            told = replace(egress, size_bytes=size_bytes)
            url = await self._redirects.url_for(name, digest, address=address, egress=told)
            if url is not None:
                if not is_known:
                    await self._known.keep(name, digest, _UNMEASURED, mark=mark)
                return BlobUrl(digest, url)
        try:
            reader = await self._storage.open(paths.blob(digest), is_whole=is_whole)
        except PathUnknown:
            await self._known.forget(name, digest)
            self.damaged.is_whole(name, digest, linked, size_bytes=None)
            raise _unknown(digest) from None
        if not self.damaged.is_whole(name, digest, linked, size_bytes=reader.size_bytes):
            reader.close()
            raise _unknown(digest)
        if not is_known:  # Else an old entry would live on by being used, and its link was not looked at.
            try:
                await self._known.keep(name, digest, reader.size_bytes, mark=mark)
            except BaseException:  # The client has gone meanwhile.
                reader.close()
                raise
        return BlobFile(digest, reader)

    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that the repository does not have as blobs, or not whole."""
        finding = self._links.find_each(name, digests)
        if self._is_remote:
            looked_at = list(digests)
            linked, stats = await both(finding, self._stats(looked_at))
        else:
            linked = await finding
            looked_at = list(linked)
            stats = await self._stats(looked_at)
        whole = {
            digest
            for digest, stat in zip(looked_at, stats, strict=True)
            if digest in linked and self.damaged.is_whole(name, digest, linked[digest], size_bytes=size_of(stat))
        }
        return set(digests) - whole

    async def sizes(self, digests: Sequence[Digest]) -> Mapping[Digest, int]:
        """Return the bytes that each blob has, of those that are in storage."""
        stats = await self._stats(digests)
        return {digest: stat.size_bytes for digest, stat in zip(digests, stats, strict=True) if stat is not None}

    async def content(self, digest: Digest, *, limit_bytes: int) -> bytes | None:
        """The bytes of a blob; None if they are not in storage, or too many."""
        try:
            stat = await self._storage.stat(paths.blob(digest), folder=False)
            return await self._storage.get(paths.blob(digest)) if stat.size_bytes <= limit_bytes else None
        except PathUnknown:
            return None

    async def mount(
        self,
        name: RepositoryName,
        digest: Digest,
        *,
        source: RepositoryName | None,
        grant: Grant,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        """Put a blob of *source* into the repository too (None: wherever it is).

        False if it is not there, is damaged, or may not be pulled from there by *grant*: the client must not learn
        which. One whose rights are limited learns nothing of what is in repositories that it does not name.

        Source: distribution-spec § Mounting a blob from another repository (end-11).

        Raises:
            StorageFull: no room is left but for deletions.
        """
        if source is None and grant.accesses is not None:
            source = name
        if source is not None and not grant.allows(Access.repository(source, Action.PULL)):
            return False
        self._room.check()
        linked = await self._links.find(source, digest)
        if linked is None:
            return False
        (stat,) = await self._storage.stat_each([paths.blob(digest)])
        is_whole = self.damaged.is_whole(source, digest, linked, size_bytes=size_of(stat))
        if not is_whole:
            return False
        return await self._links.mount(name, digest, source=source, size_bytes=size_of(stat), cause=cause)

    async def delete(self, name: RepositoryName, digest: Digest, *, grant: Grant, cause: Cause) -> None:
        """Take a blob out of the repository, at once. Its bytes stay for the others until garbage collection.

        Raises:
            Protected: *grant* protects a tag of the repository, and no image of one may lose a layer; whether the
                blob is there is not looked at.
            BlobReferenced: a manifest of the repository needs it; where a database says so.
            BlobUnknown: it was not there.
        """
        grant.protection(name).check_content()
        try:
            await self._links.unlink(name, digest, cause=cause)
        finally:
            await self._known.take_away(name, digest)

    async def _stats(self, digests: Sequence[Digest]) -> Sequence[Stat | None]:
        return await self._storage.stat_each([paths.blob(digest) for digest in digests])

    async def _readable_bytes(self, digest: Digest) -> int | None:
        """The size of a file that can be opened: one that cannot must not look as if it were there."""
        try:
            with await self._storage.open(paths.blob(digest)) as reader:
                return reader.size_bytes
        except PathUnknown:
            return None


def _unknown(digest: Digest) -> BlobUnknown:
    return BlobUnknown("the blob is not in the repository", digest=str(digest))
