"""Manifests as link files have them, read for a database: strictly if that can be done, else leniently.

What the registry has served until now it shall go on serving. So a manifest that would be refused in a push today is
taken with what can be read of it; only what nobody could be served, and Docker's schema 1, is left out.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from moorage.errors import ManifestInvalid, PathUnknown
from moorage.metadata.imports import FoundManifest, ImportReads
from moorage.metadata.layout_pointers import payload_of
from moorage.moving.link_folders import DigestLink
from moorage.moving.outcome import LeftOutKind, Teller
from moorage.moving.stored_manifests import manifest_of
from moorage.oci import mediatypes
from moorage.oci import stored as lenient
from moorage.oci.digests import Digest
from moorage.oci.manifests import SIZE_LIMIT_BYTES, Manifest, StoredManifest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.work.large_payloads import in_its_turn

CONFIGURATION_LIMIT_BYTES = 256 << 10
"""As for a push: larger ones are not kept with their manifests."""

_TOGETHER = 200
_TOGETHER_BYTES = 8 << 20
"""So much is in memory at a time."""


@dataclass(frozen=True, slots=True)
class _Read:
    stored: StoredManifest
    manifest: Manifest
    is_declared: bool


@dataclass(frozen=True, slots=True)
class _Refused:
    kind: LeftOutKind
    reason: str


class ManifestReading:
    """Reads the manifests of one repository."""

    def __init__(self, storage: StorageDriver, name: RepositoryName, teller: Teller) -> None:
        self._storage = storage
        self._name = name
        self._teller = teller

    async def read(
        self, links: Sequence[DigestLink], database: ImportReads, *, lists_only: bool = False
    ) -> AsyncIterator[tuple[Sequence[FoundManifest], Sequence[DigestLink]]]:
        """Yield manifests in portions, each with those that list others: they wait until those are taken.

        *lists_only*: they are such, and do not wait any more.
        """
        for portion in await self._portions(links):
            blobs = [paths.blob(link.digest) for link in portion]

            def use(number: int, content: bytes, portion: Sequence[DigestLink] = portion) -> _Read | _Refused:
                return _read(portion[number].digest, content)

            answers = await self._storage.get_each(blobs, use, limit_bytes=SIZE_LIMIT_BYTES)
            found: list[tuple[_Read, DigestLink]] = []
            waiting: list[DigestLink] = []
            for link, answer in zip(portion, answers, strict=True):
                if not isinstance(answer, _Read):
                    self._leave_out(link.digest, answer)
                elif not lists_only and any(True for _ in answer.manifest.children):
                    waiting.append(link)
                else:
                    found.append((answer, link))
            yield await self._whole(found, database), waiting

    async def _portions(self, links: Sequence[DigestLink]) -> Sequence[Sequence[DigestLink]]:
        """Cut *links* so that no portion has too many bytes; without those whose bytes are not there."""
        stats = await self._storage.stat_each([paths.blob(link.digest) for link in links])
        portions: list[list[DigestLink]] = [[]]
        size_bytes = 0
        for link, stat in zip(links, stats, strict=True):
            if stat is None:
                self._leave_out(link.digest, None)
                continue
            if stat.size_bytes > SIZE_LIMIT_BYTES:
                reason = f"it has {stat.size_bytes} bytes, and a manifest has at most {SIZE_LIMIT_BYTES}"
                self._leave_out(link.digest, _Refused(LeftOutKind.MANIFEST_DAMAGED, reason))
                continue
            if len(portions[-1]) == _TOGETHER or size_bytes + stat.size_bytes > _TOGETHER_BYTES:
                portions.append([])
                size_bytes = 0
            portions[-1].append(link)
            size_bytes += stat.size_bytes
        return [portion for portion in portions if portion]

    async def _whole(self, found: Sequence[tuple[_Read, DigestLink]], database: ImportReads) -> Sequence[FoundManifest]:
        """Add what is not in the manifests themselves: the types of some, and configurations."""
        configurations = await self._configurations([read for read, _ in found], database)
        whole = []
        for read, link in found:
            stored, manifest = read.stored, read.manifest
            if not read.is_declared:
                stored, manifest = await self._of_its_type(stored, manifest)
            config = None if manifest.config is None else configurations.get(manifest.config.digest)
            whole.append(
                FoundManifest(stored=stored, manifest=manifest, configuration=config, linked_at=link.written_at)
            )
        return whole

    async def _of_its_type(self, stored: StoredManifest, manifest: Manifest) -> tuple[StoredManifest, Manifest]:
        try:
            noted = await self._storage.get(paths.content_type(self._name, stored.digest))
        except PathUnknown:
            return stored, manifest
        media_type = noted.decode("utf-8", "replace")
        if not lenient.is_header(media_type) or media_type == stored.media_type:
            return stored, manifest
        again = await in_its_turn(manifest_of, stored.payload, media_type)
        return StoredManifest(stored.digest, media_type, stored.payload), again

    async def _configurations(self, manifests: Sequence[_Read], database: ImportReads) -> dict[Digest, bytes]:
        """Read small configurations of images, of those that the repository has: a manifest may name another's."""
        configs = [read.manifest.config for read in manifests if read.manifest.config is not None]
        wanted = {config.digest for config in configs if config.size_bytes <= CONFIGURATION_LIMIT_BYTES}
        sizes = await database.blobs(await database.linked(self._name, wanted))
        digests = sorted((digest for digest, size in sizes.items() if size <= CONFIGURATION_LIMIT_BYTES), key=str)
        contents = await self._storage.get_each([paths.blob(digest) for digest in digests], lambda _, content: content)
        return {digest: content for digest, content in zip(digests, contents, strict=True) if content is not None}

    def _leave_out(self, digest: Digest, refused: _Refused | None) -> None:
        if refused is None:
            refused = _Refused(LeftOutKind.MANIFEST_MISSING, "its bytes are not in storage")
        self._teller.leave_out(refused.kind, paths.revision_link(self._name, digest), refused.reason)


def _read(digest: Digest, content: bytes) -> _Read | _Refused:
    if not content:
        return _Refused(LeftOutKind.MANIFEST_DAMAGED, "the manifest has no bytes")
    actual = Digest.of(content, digest.algorithm)
    if actual != digest:
        return _Refused(LeftOutKind.MANIFEST_DAMAGED, f"its bytes are {actual}")
    payload = payload_of(content)
    if payload.media_type in mediatypes.SCHEMA1:
        return _Refused(LeftOutKind.SCHEMA1, "Docker image manifests of schema 1 are not supported")
    try:
        manifest = manifest_of(content, payload.media_type)
    except ManifestInvalid as exc:
        return _Refused(LeftOutKind.MANIFEST_DAMAGED, exc.message)
    return _Read(StoredManifest(digest, payload.media_type, content), manifest, payload.is_declared)
