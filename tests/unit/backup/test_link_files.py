"""Link files into one file: in an order in which they can be put back, and from a bucket many at a time."""

import asyncio
from pathlib import Path

from contract.integrity.registries import layout_store_over
from contract.metadata.pushing import push_image
from moorage.backup.link_files import LinkFilesOut, link_lines
from moorage.oci.names import RepositoryName
from moorage.storage.memory import MemoryDriver
from support.bucket import Bucket
from support.images import image

NAMES = [RepositoryName.parse("one/app"), RepositoryName.parse("two")]
IMAGES = 20


class Waiting(Bucket):
    """A bucket whose answers come a turn later."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.most_at_once = 0

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        self.asked += 1
        self.most_at_once = max(self.most_at_once, self.asked)
        try:
            await asyncio.sleep(0)
            return await super().get(path, limit_bytes=limit_bytes)
        finally:
            self.asked -= 1


async def links_of(storage: MemoryDriver | Bucket, target: Path) -> list[str]:
    store = layout_store_over(storage)
    for name in NAMES:
        for number in range(IMAGES):
            await push_image(store, image(number), f"v{number}", name=name)
    links = LinkFilesOut(storage)
    await links.copy(target)
    found = [path for path, _ in link_lines(target)]
    assert links.count == len(found)
    return found


async def test_links_of_a_bucket_are_read_many_at_a_time_and_are_those_of_a_folder(tmp_path: Path) -> None:
    bucket = Waiting()
    found = await links_of(bucket, tmp_path / "bucket")
    assert bucket.most_at_once > 1, "else each waits for the answer to the one before"
    files = await links_of(MemoryDriver(), tmp_path / "files")
    assert set(found) == set(files)
    kinds = {part: sum(part in path for path in set(found)) for part in ("/current/", "/revisions/", "/_layers/")}
    assert kinds == {"/current/": 2 * IMAGES, "/revisions/": 2 * IMAGES, "/_layers/": 2 * IMAGES * 3}


async def test_a_tag_comes_after_its_manifest_and_layers_come_last(tmp_path: Path) -> None:
    found = await links_of(Waiting(), tmp_path / "links")
    for name in NAMES:
        own = [path for path in found if f"/repositories/{name.text}/" in path]
        first = next(number for number, path in enumerate(own) if "/_layers/" in path)
        assert all("/_layers/" in path for path in own[first:])
        tags = [number for number, path in enumerate(own) if "/current/" in path]
        assert all("/revisions/" in own[number - 1] for number in tags)
