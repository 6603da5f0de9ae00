"""How many upload sessions a client may have open in a repository."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from moorage.core.session_limits import COUNTED, SessionLimits
from moorage.core.uploads import Uploads
from moorage.errors import TooManyRequests
from moorage.metadata.layout import LayoutLinks
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import FolderEntry, StorageDriver
from moorage.storage.memory import MemoryDriver
from moorage.storage.upload_sinks import sink_of
from unit.core.sending import NAME, sending

OTHER_NAME = RepositoryName.parse("other/name")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class CountedLists(MemoryDriver):
    """Memory that counts how often a folder was listed."""

    lists = 0

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        self.lists += 1
        await asyncio.sleep(0)
        return await super().list(path, after=after, limit=limit)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def worker(storage: StorageDriver, limit: int, clock: Clock, key: bytes = b"shared") -> Uploads:
    """One of several, or one after a restart: only storage and the key are what they were."""
    limits = SessionLimits(storage, key, limit=limit, now=clock)
    return Uploads(storage, LayoutLinks(storage), sink=sink_of(storage), limits=limits, now=clock)


async def open_up_to(uploads: Uploads, count: int, client: str = "a", name: RepositoryName = NAME) -> list[str]:
    return [(await uploads.start(name, client=client)).id for _ in range(count)]


async def test_one_session_more_than_the_limit_is_refused_with_the_limit_and_a_time(
    storage: StorageDriver, clock: Clock
) -> None:
    uploads = worker(storage, 5, clock)
    await open_up_to(uploads, 5)
    with pytest.raises(TooManyRequests, match=r"^5 uploads .*http\.limits\.uploadsessions") as refused:
        await uploads.start(NAME, client="a")
    assert refused.value.retry_after > timedelta(0)
    assert len(await storage.list(paths.uploads(NAME))) == 5


async def test_a_blob_in_one_request_counts_too(storage: StorageDriver, clock: Clock) -> None:
    uploads = worker(storage, 1, clock)
    await open_up_to(uploads, 1)
    with pytest.raises(TooManyRequests):
        await uploads.push(NAME, Digest.of(b"x"), sending(b"x"), client="a")


async def test_sessions_of_other_workers_and_before_a_restart_count(storage: StorageDriver, clock: Clock) -> None:
    for _ in range(3):
        await open_up_to(worker(storage, 3, clock), 1)
    with pytest.raises(TooManyRequests):
        await worker(storage, 3, clock).start(NAME, client="a")


async def test_another_client_and_another_repository_are_not_hindered(storage: StorageDriver, clock: Clock) -> None:
    uploads = worker(storage, 3, clock)
    await open_up_to(uploads, 3)
    await open_up_to(uploads, 3, client="b")
    await open_up_to(uploads, 3, name=OTHER_NAME)
    with pytest.raises(TooManyRequests):
        await uploads.start(NAME, client="b")


async def test_a_session_that_ends_makes_room(storage: StorageDriver, clock: Clock) -> None:
    uploads = worker(storage, 2, clock)
    cancelled, committed = await open_up_to(uploads, 2)
    await uploads.cancel(NAME, cancelled)
    await uploads.commit(NAME, committed, Digest.of(b"x"), sending(b"x"), start=None)
    await open_up_to(uploads, 2)


async def test_sessions_left_for_long_do_not_count(storage: StorageDriver, clock: Clock) -> None:
    uploads = worker(storage, 2, clock)
    await open_up_to(uploads, 2)
    clock.now += COUNTED - timedelta(minutes=2)
    with pytest.raises(TooManyRequests):
        await uploads.start(NAME, client="a")
    clock.now += timedelta(minutes=4)
    await open_up_to(uploads, 2)


async def test_a_clock_that_goes_back_does_not_make_room(storage: StorageDriver, clock: Clock) -> None:
    uploads = worker(storage, 2, clock)
    await open_up_to(uploads, 2)
    clock.now -= timedelta(days=3)
    with pytest.raises(TooManyRequests):
        await uploads.start(NAME, client="a")


async def test_without_a_limit_any_number_is_taken(storage: StorageDriver, clock: Clock) -> None:
    assert len(set(await open_up_to(worker(storage, 0, clock), 30))) == 30


async def test_ids_are_uuids_that_say_nothing_to_others(storage: StorageDriver, clock: Clock) -> None:
    mine = (await open_up_to(worker(storage, 9, clock, b"one"), 2))[1]
    others = (await open_up_to(worker(storage, 9, clock, b"two"), 1))[0]
    assert str(uuid.UUID(mine)) == mine
    assert uuid.UUID(mine).variant == uuid.RFC_4122
    assert mine[:11] != others[:11]


async def test_sessions_of_another_registry_in_the_folder_do_not_count(storage: StorageDriver, clock: Clock) -> None:
    for _ in range(20):
        await storage.put(f"{paths.upload(NAME, str(uuid.uuid4()))}/data", b"")
    await open_up_to(worker(storage, 2, clock), 2)


async def test_requests_at_once_do_not_get_past_the_limit(clock: Clock) -> None:
    storage = CountedLists()
    uploads = worker(storage, 20, clock)
    made = await asyncio.gather(*(uploads.start(NAME, client="a") for _ in range(200)), return_exceptions=True)
    refused = [result for result in made if isinstance(result, TooManyRequests)]
    assert len(made) - len(refused) == 20
    assert storage.lists <= 22, "those who wait for a look that finds nothing free share it"


async def test_storage_is_not_listed_for_each_of_many_sessions(clock: Clock) -> None:
    storage = CountedLists()
    await open_up_to(worker(storage, 2000, clock), 1000)
    assert storage.lists < 20
