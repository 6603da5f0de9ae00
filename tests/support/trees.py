"""Trees of link files, as a registry without a database writes them, put straight into a storage."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.errors import PathUnknown
from moorage.oci.digests import Digest, linked_digest
from moorage.oci.mentions import mentions
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver

REPOSITORY = RepositoryName("group/app")


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image that lies in a storage."""

    manifest: Digest
    blobs: Sequence[Digest]
    payload: bytes


async def push(
    storage: StorageDriver, tag: str, contents: Sequence[bytes], *, repository: RepositoryName = REPOSITORY
) -> Pushed:
    """Write an image of these layers, in the order in which a registry writes it."""
    digests = [Digest.of(content) for content in contents]
    for content, digest in zip(contents, digests, strict=True):
        await storage.put(paths.blob(digest), content)
        await storage.put(paths.layer_link(repository, digest), str(digest).encode())
    described = [
        {"digest": str(digest), "size": len(content)} for digest, content in zip(digests, contents, strict=True)
    ]
    payload = json.dumps({"schemaVersion": 2, "config": described[0], "layers": described[1:]}).encode()
    return Pushed(await put_manifest(storage, payload, tag, repository=repository), digests, payload)


async def put_manifest(
    storage: StorageDriver, payload: bytes, tag: str, *, repository: RepositoryName = REPOSITORY
) -> Digest:
    """Write a manifest and a tag for it."""
    digest = Digest("sha256", hashlib.sha256(payload).hexdigest())
    await storage.put(paths.blob(digest), payload)
    await storage.put(paths.revision_link(repository, digest), str(digest).encode())
    await storage.put(paths.tag_index_link(repository, Tag(tag), digest), str(digest).encode())
    await storage.put(paths.tag_link(repository, Tag(tag)), str(digest).encode())
    return digest


async def everything(storage: StorageDriver, folder: str = paths.ROOT) -> Mapping[str, bytes]:
    """All objects with their bytes, but for uploads."""
    found: dict[str, bytes] = {}
    try:
        entries = await storage.list(folder)
    except PathUnknown:
        return found
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if entry.is_folder and entry.name != "_uploads":
            found.update(await everything(storage, path))
        elif not entry.is_folder:
            found[path] = await storage.get(path, limit_bytes=64 << 20)
    return found


async def broken(storage: StorageDriver) -> list[str]:
    """What a client of a registry on this storage could not pull, though a tag or a link says that it is there."""
    wrong = []
    found = await everything(storage)
    for path, content in found.items():
        folder = path.partition("/_")[0]
        digest = linked_digest(content) if path.endswith("/link") else None
        if digest is None:
            wrong += [f"{path} says nothing"] if path.endswith("/link") else []
            continue
        if paths.blob(digest) not in found:
            wrong.append(f"{path} leads nowhere")
        elif "/_layers/" not in path:
            wrong += [
                f"{path}: {part} is not there"
                for part in mentions(found[paths.blob(digest)]).references
                if paths.blob(part) not in found or not _links(folder, part) & found.keys()
            ]
    return wrong


def _links(folder: str, digest: Digest) -> set[str]:
    places = ("_layers", "_manifests/revisions")
    return {f"{folder}/{place}/{digest.algorithm}/{digest.encoded}/link" for place in places}
