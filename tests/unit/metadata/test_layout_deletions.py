"""Deletions of a manifest among very many tags in link files: the links are read in threads, many at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from moorage.metadata.layout_pointers import LayoutPointers
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

NAME = RepositoryName("group/app")
KEPT, GONE = Digest.of(b"kept"), Digest.of(b"gone")


class CountedBatches(FilesystemDriver):
    """Notes how many files are read at once, in a thread, and counts links of tags that are read one by one."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.batches: list[int] = []
        self.alone = 0

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        self.alone += "/_manifests/tags/" in path
        return await super().get(path, limit_bytes=limit_bytes)

    async def get_each(
        self, paths: Sequence[str], use: Callable[[int, bytes], Any], *, limit_bytes: int = 4 << 20
    ) -> Sequence[Any]:
        self.batches.append(len(paths))
        return await super().get_each(paths, use, limit_bytes=limit_bytes)


def write_link(root: Path, path: str, content: str) -> None:
    link = root / path.lstrip("/")
    link.parent.mkdir(parents=True)
    link.write_text(content)


async def test_a_deletion_among_many_tags_reads_their_links_a_thousand_at_a_time(tmp_path: Path) -> None:
    for number in range(1100):
        write_link(tmp_path, paths.tag_link(NAME, Tag(f"t{number}")), str(KEPT))
    # White space around a digest is read over, and a text that only has it in it is no link to it.
    write_link(tmp_path, paths.tag_link(NAME, Tag("gone")), f"{GONE}\n")
    write_link(tmp_path, paths.tag_link(NAME, Tag("other")), f"{GONE}0")
    write_link(tmp_path, paths.revision_link(NAME, GONE), str(GONE))
    storage = CountedBatches(tmp_path)
    assert await LayoutPointers(storage).remove(NAME, GONE, None) == ["gone"]
    assert storage.batches == [1000, 102, 1000, 101]
    assert storage.alone == 1  # The one that goes is read again before it does.
    left = {folder.name for folder in (tmp_path / paths.tags(NAME).lstrip("/")).iterdir()}
    assert left == {"other", *(f"t{number}" for number in range(1100))}
    assert not (tmp_path / paths.revision(NAME, GONE).lstrip("/")).exists()
    await storage.close()


async def test_a_tag_that_was_pushed_again_meanwhile_keeps_its_manifest(tmp_path: Path) -> None:
    tag, revision = paths.tag_link(NAME, Tag("late")), paths.revision_link(NAME, GONE)
    write_link(tmp_path, revision, str(GONE))

    class Pushed(CountedBatches):
        """Somebody points a tag to the manifest when its link has gone: after the first look at all tags."""

        async def delete(self, path: str, *, durable: bool = True) -> None:
            await super().delete(path, durable=durable)
            if path == paths.revision(NAME, GONE):
                write_link(tmp_path, tag, str(GONE))

    storage = Pushed(tmp_path)
    assert await LayoutPointers(storage).remove(NAME, GONE, None) == []
    assert (tmp_path / revision.lstrip("/")).read_text() == str(GONE)
    assert (tmp_path / tag.lstrip("/")).read_text() == str(GONE)
    await storage.close()
