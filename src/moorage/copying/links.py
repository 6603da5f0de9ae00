"""Links on their way from one storage to another: each only after all that it leads to."""

from moorage.copying.blobs import BlobTransfer
from moorage.copying.ends import CopyEnds
from moorage.copying.kinds import CopiedObject, ObjectKind, object_at
from moorage.copying.outcome import CopyFinding, CopyOutcome
from moorage.copying.shared_work import OnceEach
from moorage.errors import ManifestInvalid, PathUnknown, StorageUnavailable
from moorage.oci.digests import Digest, linked_digest
from moorage.oci.mentions import mentions
from moorage.storage import paths
from moorage.work.large_payloads import read_aside

_REMEMBERED = 1 << 17
_MANIFEST_BYTES = 64 << 20
_SMALL_BYTES = 4 << 20


class LinkTransfer:
    """Copies links and the notes beside them; a tag after its manifest, a manifest after its layers.

    So whatever the target has at some moment, in the middle of a copy or after a crash, can be pulled whole.
    """

    def __init__(self, ends: CopyEnds, blobs: BlobTransfer, outcome: CopyOutcome) -> None:
        self._source, self._target = ends.source, ends.target
        self._ends = ends
        self._blobs = blobs
        self._outcome = outcome
        self._once: OnceEach[str] = OnceEach(_REMEMBERED)

    async def copy(self, found: CopiedObject, there_bytes: int | None) -> None:
        """Copy an object if the target, which has *there_bytes* there, does not have the same.

        Raises:
            BackendError: it could not be copied for now.
        """
        if found.is_empty_link:
            self._outcome.found(CopyFinding.EMPTY_LINK, found.path)
            return
        # What a link below a digest says is known from its path: the same size is the same content.
        if found.digest is not None and there_bytes == found.size_bytes == len(str(found.digest)):
            self._once.note(found.path)
            return
        await self._once.do(found.path, lambda: self._copy(found, is_there=there_bytes is not None))

    async def _copy(self, found: CopiedObject, *, is_there: bool) -> None:
        try:
            content = await self._source.get(found.path, limit_bytes=_SMALL_BYTES)
        except PathUnknown:
            self._outcome.found(CopyFinding.VANISHED, found.path)
            return
        if found.is_link and not self._is_sound(found, content):
            return
        if is_there and await self._says(found.path, content):
            return
        if self._ends.changes:
            await self._copy_what_it_needs(found, content)
            await self._ends.pace.wait(len(content))
            await self._target.put(found.path, content)
            if not await self._says(found.path, content):
                msg = f"{found.path}: the target does not give back what it was given"
                raise StorageUnavailable(msg)
        self._outcome.did_copy(found.kind, len(content))

    def _is_sound(self, found: CopiedObject, content: bytes) -> bool:
        digest = linked_digest(content)
        if not content.strip():
            self._outcome.found(CopyFinding.EMPTY_LINK, found.path)
        elif digest is None or (found.digest is not None and digest != found.digest):
            self._outcome.found(CopyFinding.LINK_DAMAGED, found.path)
        else:
            return True
        return False

    async def _copy_what_it_needs(self, found: CopiedObject, content: bytes) -> None:
        digest = found.digest or (linked_digest(content) if found.is_link else None)
        if digest is None:
            return
        if found.kind is ObjectKind.LAYER:
            await self._blobs.ensure(digest)
        elif found.kind is ObjectKind.REVISION:
            await self._copy_manifest(found.folder, digest)
        elif found.kind in (ObjectKind.TAG, ObjectKind.INDEX):
            await self._ensure(f"{found.folder}/_manifests/revisions/{digest.algorithm}/{digest.encoded}/link")

    async def _copy_manifest(self, folder: str, digest: Digest) -> None:
        """Copy all that a manifest needs, then its bytes, then what is noted of it."""
        path = paths.blob(digest)
        try:
            payload = await self._source.get(path, limit_bytes=_MANIFEST_BYTES)
        except PathUnknown:
            self._outcome.found(CopyFinding.BLOB_MISSING, path)
            return
        try:
            named = await read_aside(mentions, payload)
        except ManifestInvalid:
            named = None  # It is copied as it is: what it leads to, nobody knows.
        for child in () if named is None else named.children:
            await self._ensure(f"{folder}/_manifests/revisions/{child.algorithm}/{child.encoded}/link")
        children = frozenset(() if named is None else named.children)
        for reference in () if named is None else named.references:
            if reference not in children:
                await self._ensure(f"{folder}/_layers/{reference.algorithm}/{reference.encoded}/link")
        await self._blobs.ensure(digest)
        await self._ensure(f"{folder}/_manifests/revisions/{digest.algorithm}/{digest.encoded}/contenttype")

    async def _ensure(self, path: str) -> None:
        """See that the target has an object of the source, if the source has it."""

        async def copy() -> None:
            try:
                wanted = await self._source.stat(path, folder=False)
            except PathUnknown:
                return
            found = object_at(path, wanted.size_bytes)
            if found.is_empty_link:
                self._outcome.found(CopyFinding.EMPTY_LINK, path)
                return
            there = await self._target.size_bytes(path)
            if found.digest is None or there != wanted.size_bytes:
                await self._copy(found, is_there=there is not None)

        await self._once.do(path, copy)

    async def _says(self, path: str, content: bytes) -> bool:
        try:
            return await self._target.get(path, limit_bytes=_SMALL_BYTES) == content
        except PathUnknown:
            return False
