"""Blobs that are asked for by clients that do not wait for the answer."""

import asyncio
from pathlib import Path

import pytest

from moorage.cache.known_links import KnownLinks
from moorage.cache.link_memory import Mark
from moorage.core.blobs import Blobs
from moorage.metadata.base import Expectation
from moorage.metadata.layout import LayoutLinks
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from unit.core.sending import NAME


class Slow(KnownLinks[int]):
    """A memory that others share, and that takes its time."""

    def __init__(self) -> None:
        super().__init__(10)
        self.is_asked = asyncio.Event()

    async def keep(self, name: RepositoryName, digest: Digest, value: int, *, mark: Mark) -> None:
        del name, digest, value, mark
        self.is_asked.set()
        await asyncio.Event().wait()


async def test_a_client_that_goes_while_its_blob_is_remembered_leaves_no_file_open(tmp_path: Path) -> None:
    storage, known, digest = FilesystemDriver(tmp_path), Slow(), Digest.of(b"layer")
    await storage.put(paths.blob(digest), b"layer")
    await LayoutLinks(storage).link(NAME, digest, Expectation(), size_bytes=5)
    blobs = Blobs(storage, LayoutLinks(storage), known=known)
    asking = asyncio.create_task(blobs.open(NAME, digest, address=""))
    await known.is_asked.wait()
    assert paths.blob(digest) in opened(tmp_path)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert paths.blob(digest) not in opened(tmp_path)
    await storage.close()


def opened(folder: Path) -> set[str]:
    """What this process has open below *folder*."""
    targets = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return {target.removeprefix(str(folder)) for target in targets if target.startswith(str(folder))}
