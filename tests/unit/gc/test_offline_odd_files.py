"""What is no file where a link or a manifest was loses nothing and stops nothing."""

from pathlib import Path

import pytest

from moorage.gc.offline.offline_run import OfflineOptions
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from support.odd_files import ODD_FILES, put_odd_file
from unit.gc.registry import APP, OTHER, UNTAGGED, Pushed, Writer, collect


async def collected(storage: StorageDriver, options: OfflineOptions, image: Pushed) -> None:
    orphan = await Writer(storage, OTHER).blob("orphan")
    await collect(storage, options)
    assert [digest for digest in image.blobs if not await storage.exists(paths.blob(digest))] == []
    assert not await storage.exists(paths.blob(orphan))


@pytest.mark.parametrize("options", [OfflineOptions(), UNTAGGED], ids=["keeping", "untagged"])
@pytest.mark.parametrize("storage", ["filesystem"], indirect=True)
class TestNoFile:
    """In place of one that was a file."""

    @pytest.mark.parametrize("kind", ODD_FILES)
    async def test_a_tag_that_is_none_keeps_the_repository_whole(
        self, kind: str, options: OfflineOptions, storage: StorageDriver, tmp_path: Path
    ) -> None:
        image = await Writer(storage).image("image", tags=["1"])
        folder = tmp_path / paths.tag(APP, Tag("1"))[1:]
        folder.rename(tmp_path / "moved away")
        ODD_FILES[kind](folder)
        await collected(storage, options, image)
        assert await storage.exists(paths.revision_link(APP, image.digest))

    @pytest.mark.parametrize("kind", ODD_FILES)
    async def test_a_revision_link_and_a_payload_that_are_none_keep_the_layers(
        self, kind: str, options: OfflineOptions, storage: StorageDriver, tmp_path: Path
    ) -> None:
        image = await Writer(storage).image("image", tags=["1"])
        for path in (paths.revision_link(APP, image.digest), paths.tag_link(APP, Tag("1")), paths.blob(image.digest)):
            put_odd_file(kind, tmp_path / path[1:])
            await collected(storage, options, image)
