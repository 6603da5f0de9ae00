"""A process killed between any two requests of a push, on each vendor's service: what is left is known and removed.

All kinds of push are killed over a bucket in memory (``tests/unit/core/test_pushes_killed.py``), for which a copy is
one request. Here are the two kinds whose requests differ from vendor to vendor.
"""

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from contract.storage.conftest import MAKERS
from contract.storage.test_uploads_on_stores import LEAST_PART_BYTES, PART_BYTES
from moorage.core.maintenance import purge_uploads
from moorage.core.uploads import Uploads
from moorage.errors import PathUnknown
from moorage.metadata.layout import LayoutLinks
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.piece_sink import PieceSink
from moorage.storage.remote.exchange import Exchange, StoreAnswer, StoreCall, Stream
from moorage.storage.remote.remote_driver import RemoteDriver
from moorage.storage.s3.s3_driver import S3Driver
from support.bucket import Killed
from unit.core.sending import sending

NAME = RepositoryName("group/app")
STORES = ("s3-seaweed", "gcs-strict", "azure")
_REQUEST_LIMIT = 60

Push = Callable[[Uploads, bytes], Awaitable[None]]


class Death:
    """The end of a process at one of its requests: from then on nothing is sent."""

    def __init__(self) -> None:
        self.requests = 0
        self._dies_at: int | None = None

    @contextlib.contextmanager
    def at(self, number: int) -> Iterator[None]:
        self.requests, self._dies_at = 0, number
        try:
            yield
        finally:
            self._dies_at = None

    def count(self) -> None:
        if self._dies_at is not None and self.requests >= self._dies_at:
            raise Killed
        self.requests += 1


@pytest.fixture
def death(monkeypatch: pytest.MonkeyPatch) -> Death:
    made, send, stream = Death(), Exchange.send, Exchange.stream

    async def counted_send(exchange: Exchange, call: StoreCall) -> StoreAnswer:
        made.count()
        return await send(exchange, call)

    async def counted_stream(exchange: Exchange, call: StoreCall) -> Stream | StoreAnswer:
        made.count()
        return await stream(exchange, call)

    monkeypatch.setattr(Exchange, "send", counted_send)
    monkeypatch.setattr(Exchange, "stream", counted_stream)
    return made


@pytest.fixture(params=STORES)
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[RemoteDriver]:
    driver = MAKERS[request.param](request.getfixturevalue("tmp_path"))
    assert isinstance(driver, RemoteDriver)
    driver.part_bytes = PART_BYTES.get(driver.name, LEAST_PART_BYTES)
    # What is found out once in a process is found out now.
    await driver.put_if_absent("/warm/object", b"x")
    await driver.delete("/warm")
    yield driver
    await driver.close()


def uploads_on(storage: StorageDriver, at: datetime | None = None) -> Uploads:
    """The uploads of a process that has just been started."""
    moment = at or datetime.now(UTC)
    return Uploads(storage, LayoutLinks(storage), sink=PieceSink(storage), now=lambda: moment)


async def by_pieces(uploads: Uploads, content: bytes) -> None:
    half = len(content) // 2
    session = await uploads.start(NAME)
    state = await uploads.append(NAME, session.id, sending(content[:half], content[half:]), start=0)
    await uploads.commit(NAME, session.id, Digest.of(content), sending(), start=None, known=state)


async def in_parts(uploads: Uploads, content: bytes) -> None:
    half = len(content) // 2
    await uploads.push(NAME, Digest.of(content), sending(content[:half], content[half:]))


async def below(storage: StorageDriver, path: str) -> dict[str, int]:
    return {key: stat.size_bytes async for page in storage.all_below(path) for key, stat in page}


async def bytes_of(storage: StorageDriver, path: str) -> bytes:
    with await storage.open(path) as reader:
        return b"".join([chunk async for chunk in reader.chunks()])


async def parts_of(storage: StorageDriver) -> list[str]:
    """What is begun in parts and not completed; other stores than S3 forget it by themselves."""
    return [parts.path async for parts in storage.unfinished_parts()]


async def check_left(storage: StorageDriver, blob: str, content: bytes) -> None:
    """The blob is there whole or not at all, and parts are only of it."""
    with contextlib.suppress(PathUnknown):
        assert await bytes_of(storage, blob) == content
    assert set(await below(storage, paths.BLOBS)) <= {blob}
    assert set(await parts_of(storage)) <= {blob}


async def check_purged(storage: StorageDriver) -> None:
    later = uploads_on(storage, datetime.now(UTC) + timedelta(days=30))
    await purge_uploads(storage, later, age=timedelta(days=1), dry_run=False)
    assert await below(storage, paths.uploads(NAME)) == {}


@pytest.mark.parametrize("push", [by_pieces, in_parts])
async def test_wherever_a_push_is_killed_what_is_left_is_known_and_removed(
    storage: RemoteDriver, death: Death, push: Push
) -> None:
    content = random.Random(1).randbytes(storage.part_bytes + 1000)
    blob, link = paths.blob(Digest.of(content)), paths.layer_link(NAME, Digest.of(content))
    for at in range(_REQUEST_LIMIT):
        is_killed = False
        with death.at(at):
            try:
                await push(uploads_on(storage), content)
            except Killed:
                is_killed = True
        if not is_killed:
            assert death.requests == at > 5
            break
        await check_left(storage, blob, content)
        if push is in_parts and isinstance(storage, S3Driver):
            await check_purged(storage)  # A note says which parts they are, but for the moment before it is written.
            assert len(await parts_of(storage)) <= 1
        await push(uploads_on(storage), content)  # A client tries again.
        assert await bytes_of(storage, blob) == content
        assert await storage.exists(link)
        await check_purged(storage)
        await storage.remove([blob, link], until=float("inf"))
    assert await bytes_of(storage, blob) == content
    await check_purged(storage)
