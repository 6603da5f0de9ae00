"""Whatever storage call of a collection fails: nothing alive is lost, and the next run finishes the work."""

import contextlib

import pytest

from moorage.errors import BackendError
from moorage.oci.digests import Digest
from moorage.oci.manifests import parse
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.memory import MemoryDriver
from unit.core.breaking import Break, BreakingDriver
from unit.gc.registry import NOBODY, OTHER, Writer, all_paths, collect

_CALLS_LIMIT = 1000


async def fill(storage: StorageDriver) -> set[Digest]:
    """A bit of everything; returns what is alive in the first repository."""
    app, other = Writer(storage), Writer(storage, OTHER)
    child = await app.image("child")
    index = await app.index([child.digest], tags=["1"])
    signature = await app.image("signature", subject=index.digest)
    gone = await app.image("gone", tags=["2"])
    await app.image("signature of gone", subject=gone.digest)
    await app.manifests.untag(app.name, Tag("2"), cause=NOBODY)
    await app.image("other's", tags=["3"])
    await other.image("other's")
    await app.blob("orphan")
    return {child.digest, index.digest, signature.digest}


async def check_whole(storage: StorageDriver, alive: set[Digest]) -> None:
    app = Writer(storage)
    for digest in alive:
        assert await app.has(digest)
        manifest = parse((await app.manifests.find(app.name, digest)).payload)
        for reference in manifest.references:
            assert await storage.exists(paths.blob(reference.descriptor.digest))
    for path in await all_paths(storage):
        if path.endswith("/link"):  # No link says that something is there which is not.
            assert await storage.exists(paths.blob(Digest.parse((await storage.get(path)).decode()))), path


@pytest.mark.parametrize("how", Break)
async def test_a_collection_that_breaks_loses_nothing_and_can_be_finished(how: Break) -> None:
    clean = MemoryDriver()
    await fill(clean)
    await collect(clean)
    wanted = await all_paths(clean)
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        alive = await fill(memory)
        storage = BreakingDriver(memory, at=at, how=how)
        with contextlib.suppress(BackendError):
            await collect(storage)
        await check_whole(memory, alive)
        await collect(memory)
        assert await all_paths(memory) == wanted
        if at > len(storage.calls):
            return
    pytest.fail("a collection makes too many calls")
