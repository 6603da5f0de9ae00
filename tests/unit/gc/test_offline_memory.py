"""Memory is that of the batches, whatever the size of the registry."""

import json
import logging
import tracemalloc
from collections.abc import Iterator

import pytest
import structlog

from moorage.gc.offline.offline_run import OfflineOptions
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.storage import paths, walk
from moorage.storage.base import StorageDriver
from moorage.storage.memory import MemoryDriver
from unit.gc.registry import APP, collect, descriptor

LAYERS = 5
PAGE = 200
"""Names of a folder that are held together; many more in earnest, so that a registry would have to be larger here."""
SLACK_BYTES = 3 << 20
"""The digests of the larger registry, in a set, would be some 4 MB. What is more are batches that are full, and what
parsers of names and digests remember, up to their limits."""


async def seed(storage: StorageDriver, manifests: int) -> None:
    """One repository with many images, every second one untagged: the worst there is, as it is looked at as a whole."""
    for number in range(manifests):
        blobs = [f"{number} {layer}".encode() for layer in range(LAYERS)]
        layers = [descriptor(Digest.of(blob), "application/vnd.oci.image.layer.v1.tar") for blob in blobs]
        value = {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "config": layers[0], "layers": layers[1:]}
        payload = json.dumps(value).encode()
        digest = Digest.of(payload)
        for content in (*blobs, payload):
            await storage.put(paths.blob(Digest.of(content)), content)
        await storage.put(paths.revision_link(APP, digest), str(digest).encode())
        if number % 2:
            await storage.put(paths.tag_link(APP, Tag(f"t{number}")), str(digest).encode())


@pytest.fixture(autouse=True)
def _is_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is logged is kept by pytest, and should not be counted."""
    monkeypatch.setattr(walk, "PAGE", PAGE)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


async def peak_bytes(manifests: int) -> int:
    """What Python allocates at most during a collection. SQLite's cache is limited by itself."""
    storage = MemoryDriver()
    await seed(storage, manifests)
    tracemalloc.start()
    try:
        totals = await collect(storage, OfflineOptions(delete_untagged=True))
        assert totals.blobs_deleted == manifests // 2 * (LAYERS + 1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_ten_times_the_blobs_need_no_more_memory() -> None:
    small, large = await peak_bytes(500), await peak_bytes(5000)
    assert large < small + SLACK_BYTES, (small, large)
