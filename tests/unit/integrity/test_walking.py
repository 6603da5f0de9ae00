"""The walk over blobs: everything once, in order, also after it was ended anywhere."""

import random

import pytest

from moorage.errors import PathUnknown
from moorage.integrity.sightings import Sighting, sightings
from moorage.integrity.walking import Foreign, Stored, share_of, stored_blobs
from moorage.oci.digests import Algorithm, Digest
from moorage.storage import paths, walk
from moorage.storage.memory import MemoryDriver
from moorage.storage.walk import Place, path_at, place_of

ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "sha512")
STRANGERS = (
    "a",
    "sha256-old",
    "zzz",
    "sha256/ab.tmp",
    "sha256/-",
    "sha256/zz",
    "sha512/ABC",
    "sha256/ff/ffff",
    "sha256/ab/00",
)


async def filled(count: int = 200) -> tuple[MemoryDriver, set[Place]]:
    """Blobs and strangers, and where all of them are."""
    storage, places = MemoryDriver(), set()
    for number in range(count):
        digest = Digest.of(str(number).encode(), ALGORITHMS[number % 2])
        await storage.put(paths.blob(digest), b"x" * number)
        places.add(place_of(digest))
    for stranger in STRANGERS:
        await storage.put(f"{paths.BLOBS}/{stranger}/data" if stranger != "a" else f"{paths.BLOBS}/a", b"?")
        places.add(tuple(stranger.split("/")))
    return storage, places


async def walked(storage: MemoryDriver, after: Place = ()) -> list[Place]:
    return [found.place async for found in stored_blobs(storage, after=after)]


async def test_everything_is_met_once_and_in_order() -> None:
    storage, places = await filled()
    found = await walked(storage)
    assert found == sorted(places)


async def test_a_walk_that_goes_on_from_anywhere_meets_the_rest() -> None:
    storage, places = await filled()
    ordered = sorted(places)
    for at, place in enumerate(ordered):
        assert await walked(storage, place) == ordered[at + 1 :], place
        seen = [seen.place async for seen in sightings(storage, None, after=place)]
        assert seen == ordered[at + 1 :]


async def test_a_place_that_is_gone_is_as_good_as_one_that_is_there() -> None:
    storage, places = await filled()
    source = random.Random(3)
    for _ in range(30):
        gone = place_of(Digest.of(source.randbytes(8), source.choice(ALGORITHMS)))
        assert await walked(storage, gone) == [place for place in sorted(places) if place > gone]


async def test_folders_larger_than_a_page_are_met_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, places = await filled()
    for page in (1, 2, 3):
        monkeypatch.setattr(walk, "PAGE", page)
        assert await walked(storage) == sorted(places)


async def test_blobs_come_with_their_sizes_and_strangers_by_their_paths() -> None:
    storage, _ = await filled()
    sizes = {found.digest: found.stat.size_bytes async for found in stored_blobs(storage) if isinstance(found, Stored)}
    assert sizes[Digest.of(b"7", "sha512")] == 7
    assert len(sizes) == 200
    strangers = {path_at(found.place) async for found in stored_blobs(storage) if isinstance(found, Foreign)}
    assert strangers == {f"{paths.BLOBS}/{name}" for name in STRANGERS}


async def test_the_share_that_is_done_grows_to_the_whole() -> None:
    storage, _ = await filled()
    shares = [share_of(seen.place) async for seen in sightings(storage, None) if isinstance(seen, Sighting)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.1
    assert shares[-1] == 1.0


async def test_where_there_are_no_blobs_at_all_it_says_so() -> None:
    with pytest.raises(PathUnknown):
        await walked(MemoryDriver())
