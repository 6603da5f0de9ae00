"""A registry of link files, written by the code that serves, for garbage collection to be tried on."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from moorage.gc.offline.offline_collection import collect_offline
from moorage.gc.offline.offline_run import OfflineOptions, Totals
from moorage.metadata.base import Cause, Expectation
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.payloads import PayloadCache
from moorage.oci import mediatypes
from moorage.oci.digests import Algorithm, Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.work.reports import WorkReports
from unit.core.breaking import every_path

APP = RepositoryName("group/app")
OTHER = RepositoryName("other")
NOBODY = Cause()
UNTAGGED = OfflineOptions(delete_untagged=True)


async def collect(storage: StorageDriver, options: OfflineOptions = UNTAGGED) -> Totals:
    return await collect_offline(storage, options, WorkReports())


async def all_paths(storage: StorageDriver) -> set[str]:
    """Every object in storage."""
    return {path async for path in every_path(storage)}


async def digests_in(storage: StorageDriver) -> set[Digest]:
    """Every blob in storage."""
    found = set()
    async for path in every_path(storage):
        if path.startswith(f"{paths.BLOBS}/"):
            algorithm, _, encoded, _ = path.removeprefix(f"{paths.BLOBS}/").split("/")
            found.add(Digest.parse(f"{algorithm}:{encoded}"))
    return found


@dataclass(frozen=True)
class Pushed:
    """A manifest and its own blobs."""

    digest: Digest
    blobs: tuple[Digest, ...] = ()

    @property
    def all(self) -> set[Digest]:
        return {self.digest, *self.blobs}


@dataclass
class Writer:
    """Writes into a storage as a registry without a database does."""

    storage: StorageDriver
    name: RepositoryName = APP
    _count: int = field(default=0)

    async def blob(self, text: str, *, algorithm: Algorithm = "sha256") -> Digest:
        content = text.encode()
        digest = Digest.of(content, algorithm)
        await self.storage.put(paths.blob(digest), content)
        await LayoutLinks(self.storage).link(self.name, digest, Expectation(), size_bytes=len(content))
        return digest

    async def image(
        self,
        text: str,
        *,
        tags: Sequence[str] = (),
        layers: Sequence[Digest] | None = None,
        subject: Digest | None = None,
        algorithm: Algorithm = "sha256",
    ) -> Pushed:
        """An image with a configuration and, unless it gets some, a layer of its own."""
        if layers is None:
            layers = [await self.blob(f"{text}: layer", algorithm=algorithm)]
        config = await self.blob(f"{text}: config", algorithm=algorithm)
        value: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": mediatypes.OCI_MANIFEST,
            "config": descriptor(config, mediatypes.OCI_CONFIG),
            "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers],
            "annotations": {"text": text, "org.opencontainers.image.base.digest": str(Digest.of(b"base"))},
        }
        if subject is not None:
            value["subject"] = descriptor(subject, mediatypes.OCI_MANIFEST)
        return Pushed(await self.manifest(value, tags=tags, algorithm=algorithm), (config, *layers))

    async def index(
        self,
        children: Sequence[Digest],
        *,
        tags: Sequence[str] = (),
        child_type: str = mediatypes.OCI_MANIFEST,
        subject: Digest | None = None,
    ) -> Pushed:
        value: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": mediatypes.OCI_INDEX,
            "manifests": [descriptor(child, child_type) for child in children],
        }
        if subject is not None:
            value["subject"] = descriptor(subject, mediatypes.OCI_MANIFEST)
        return Pushed(await self.manifest(value, tags=tags))

    async def manifest(
        self, value: dict[str, object], *, tags: Sequence[str] = (), algorithm: Algorithm = "sha256"
    ) -> Digest:
        payload = json.dumps(value).encode()
        manifest = parse(payload, str(value.get("mediaType", mediatypes.OCI_MANIFEST)))
        stored = StoredManifest(Digest.of(payload, algorithm), manifest.media_type, payload)
        await self.manifests.put(self.name, stored, manifest, tags=[Tag(tag) for tag in tags], cause=NOBODY)
        return stored.digest

    async def raw(self, payload: bytes, *, tags: Sequence[str] = ()) -> Digest:
        """A manifest that only another registry would have taken."""
        digest = Digest.of(payload)
        await self.storage.put(paths.blob(digest), payload)
        await self.storage.put(paths.revision_link(self.name, digest), str(digest).encode())
        for tag in map(Tag, tags):
            await self.storage.put(paths.tag_link(self.name, tag), str(digest).encode())
        return digest

    @property
    def manifests(self) -> LayoutManifests:
        """As a process that has just started sees them."""
        return LayoutManifests(self.storage, PayloadCache())

    async def has(self, digest: Digest) -> bool:
        """Whether the repository has a manifest."""
        return not await self.manifests.missing(self.name, [digest])

    async def referrers(self, subject: Digest) -> list[Digest]:
        page = await self.manifests.referrers(self.name, subject, artifact_type=None, after="", limit=100)
        return [descriptor.digest for descriptor in page.items]

    async def layers(self) -> set[Digest]:
        """The blobs that are linked, their bytes there or not."""
        found: set[Digest] = set()
        async for path in self._below(f"{paths.layers(self.name)}/"):
            algorithm, encoded, _ = path.split("/")
            found.add(Digest.parse(f"{algorithm}:{encoded}"))
        return found

    async def _below(self, prefix: str) -> AsyncIterator[str]:
        async for path in every_path(self.storage):
            if path.startswith(prefix):
                yield path.removeprefix(prefix)


def descriptor(digest: Digest, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(digest), "size": 10}
