"""Whatever is broken in whatever registry: a check finds exactly that, and a repair leaves what a repair can."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.integrity.registries import Registry, database_registry, layout_registry
from contract.metadata.pushing import NAME, push, push_blob
from contract.metadata.stores import quick_folder, sqlite_opener
from moorage.integrity.findings import FindingKind, Note
from moorage.metadata.sql.digest_keys import digest_key
from moorage.oci.digests import Algorithm, Digest
from moorage.storage import paths
from support.images import OCI_LAYER, Content, config, image_manifest


class Fate(Enum):
    """What becomes of a blob that was pushed."""

    FINE = auto()
    LOST = auto()
    FLIPPED = auto()
    CUT = auto()
    GREW = auto()
    MARKED = auto()
    FORGOTTEN = auto()
    """Nothing refers to it, and no review is to come."""


ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "sha512")
SIZE_BYTES = 50

blobs = st.lists(st.tuples(st.sampled_from(Fate), st.sampled_from(ALGORITHMS), st.booleans()), max_size=25)
"""Fate, algorithm, and whether an image needs it."""
strays = st.integers(0, 4)


def content_of(number: int) -> bytes:
    return f"blob {number} ".encode().ljust(SIZE_BYTES, b".")


def changed(content: bytes, fate: Fate) -> bytes:
    return {
        Fate.FLIPPED: bytes([content[0] ^ 1]) + content[1:],
        Fate.CUT: content[:-1],
        Fate.GREW: content + b"!",
    }.get(fate, content)


@asynccontextmanager
async def opened(folder: Path, *, has_database: bool) -> AsyncIterator[Registry]:
    if has_database:
        async with database_registry("inmemory", sqlite_opener(folder), folder) as registry:
            yield registry
    else:
        async with layout_registry("inmemory", folder) as registry:
            yield registry


async def push_all(registry: Registry, wanted: list[tuple[Fate, Algorithm, bool]]) -> list[Digest]:
    digests = []
    for number, (_, algorithm, is_needed) in enumerate(wanted):
        digests.append(await push_blob(registry.store, content_of(number), algorithm=algorithm))
        if is_needed:
            configuration = config(number)
            await push_blob(registry.store, configuration.body)
            layer = Content(OCI_LAYER, content_of(number)).descriptor(digest=str(digests[-1]))
            await push(registry.store, image_manifest(configuration, [layer]), f"v{number}")
    return digests


async def break_in_database(
    registry: Registry, digest: Digest, content: bytes, fate: Fate, *, is_needed: bool
) -> set[tuple[FindingKind, str]]:
    """Break one blob, and return what is to be found of it."""
    found: set[FindingKind] = set()
    if fate is Fate.LOST:
        await registry.lose(digest)
        found = {FindingKind.BYTES_MISSING}
    elif fate is Fate.MARKED:
        await registry.run("UPDATE blobs SET missing_since = created_at WHERE digest = $1", digest_key(digest))
        found = {FindingKind.MARKED_IN_VAIN}
    elif fate is Fate.FORGOTTEN:
        await registry.run("DELETE FROM gc_blob_review_queue WHERE digest = $1", digest_key(digest))
        found = set() if is_needed else {FindingKind.BLOB_UNREVIEWED}
    elif fate is not Fate.FINE:
        await registry.damage(digest, changed(content, fate))
        found = {FindingKind.DIGEST_DIFFERS if fate is Fate.FLIPPED else FindingKind.SIZE_DIFFERS}
    return {(kind, str(digest)) for kind in found}


async def break_in_layout(
    registry: Registry, digest: Digest, content: bytes, fate: Fate, *, is_needed: bool
) -> set[tuple[FindingKind, str]]:
    """As :func:`break_in_database`."""
    if fate is Fate.LOST:
        await registry.lose(digest)
        return {(FindingKind.LAYER_DANGLING, str(digest))}
    if changed(content, fate) != content:
        await registry.damage(digest, changed(content, fate))
        found = {FindingKind.DIGEST_DIFFERS}
        if is_needed and fate is not Fate.FLIPPED:
            found.add(FindingKind.SIZE_DIFFERS)  # Only a manifest says how many bytes there should be.
        return {(kind, str(digest)) for kind in found}
    return set()


@given(blobs, strays)
@settings(max_examples=40)
def test_a_check_with_a_database_finds_what_is_broken_and_nothing_else(
    wanted: list[tuple[Fate, Algorithm, bool]], stray: int
) -> None:
    async def example(folder: Path) -> None:
        async with opened(folder, has_database=True) as registry:
            digests = await push_all(registry, wanted)
            expected: set[tuple[FindingKind, str]] = set()
            for number, (fate, _, is_needed) in enumerate(wanted):
                digest, content = digests[number], content_of(number)
                expected |= await break_in_database(registry, digest, content, fate, is_needed=is_needed)
            for number in range(stray):
                content = f"stray {number}".encode()
                await registry.damage(Digest.of(content), content)
                expected.add((FindingKind.BYTES_UNKNOWN, str(Digest.of(content))))
            assert (await registry.check()).pairs == expected
            assert (await registry.check(repairs=True)).pairs == expected
            await assert_repaired(registry, wanted, digests, stray)

    with quick_folder() as folder:
        asyncio.run(example(folder))


async def assert_repaired(
    registry: Registry, wanted: list[tuple[Fate, Algorithm, bool]], digests: list[Digest], stray: int
) -> None:
    """What is left is what only a push can bring back; nobody is served it; and then a push does."""
    gone = {Fate.LOST, Fate.FLIPPED, Fate.CUT, Fate.GREW}
    missing = {digests[number] for number, (fate, _, _) in enumerate(wanted) if fate in gone}
    after = await registry.check()
    assert after.pairs == {(FindingKind.BYTES_MISSING, str(digest)) for digest in missing}
    assert after.notes.get(Note.AWAITING_REVIEW, (0, 0))[0] == stray
    assert await registry.store.links.missing(NAME, digests) == missing
    for number, (fate, algorithm, _) in enumerate(wanted):
        content = content_of(number)
        bad = changed(content, fate)
        assert await registry.quarantined(digests[number]) == ([bad] if bad != content else [])
        if digests[number] in missing:
            await push_blob(registry.store, content, algorithm=algorithm)
        assert await registry.storage.get(paths.blob(digests[number])) == content
    assert (await registry.check()).kinds == {}


@given(blobs, strays)
@settings(max_examples=40)
def test_a_check_of_link_files_finds_what_is_broken_and_nothing_else(
    wanted: list[tuple[Fate, Algorithm, bool]], stray: int
) -> None:
    async def example(folder: Path) -> None:
        async with opened(folder, has_database=False) as registry:
            digests = await push_all(registry, wanted)
            expected: set[tuple[FindingKind, str]] = set()
            for number, (fate, _, is_needed) in enumerate(wanted):
                content = content_of(number)
                expected |= await break_in_layout(registry, digests[number], content, fate, is_needed=is_needed)
            for number in range(stray):
                await registry.damage(Digest.of(f"stray {number}".encode()), f"stray {number}".encode())
            found = await registry.check()
            assert found.pairs == expected
            lost = {fate for fate, _, is_needed in wanted if fate is Fate.LOST and not is_needed}
            loose = sum(not is_needed and fate is not Fate.LOST for fate, _, is_needed in wanted)
            assert found.notes.get(Note.UNREFERENCED, (0, 0))[0] == loose + stray, lost
            await registry.check(repairs=True)
            for number, (_, algorithm, _) in enumerate(wanted):
                await push_blob(registry.store, content_of(number), algorithm=algorithm)
            assert (await registry.check()).kinds == {}

    with quick_folder() as folder:
        asyncio.run(example(folder))
