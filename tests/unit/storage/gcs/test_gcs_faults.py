"""What goes wrong on the line to Google: every method comes to its end, and nothing is written twice."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from moorage.config import GCSSection
from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.base import clock
from moorage.storage.gcs.gcs_driver import GCSDriver
from moorage.storage.gcs.opening import open_bucket
from support.fault_proxy import Fault, FaultProxy
from support.gcs_fake import GCSFake
from support.gcs_objects import STEP_BYTES, GCSBucket
from support.rude_server import RudeServer, Said

PASSING = [Fault.SLOW_DOWN, Fault.DROP, Fault.LOST]
CONTENT = random.Random(5).randbytes(3 << 20)


def kind_of(method: str, target: str, headers: dict[str, str]) -> str:
    del headers
    if "/token" in target:
        return "token"
    if "/batch/" in target:
        return "batch"
    if "/upload/" in target:
        return {"POST": "insert", "PUT": "part", "DELETE": "cancel"}[method]
    for name in ("compose", "rewriteTo"):
        if name in target:
            return name
    if method == "GET":
        return "media" if "alt=media" in target else ("facts" if "/o/" in target else "list")
    return "delete"


@pytest.fixture
def bucket(fake: GCSFake) -> GCSBucket:
    return fake.make()


@pytest.fixture
async def proxy(fake: GCSFake, bucket: GCSBucket) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(fake.url.removeprefix("http://"), kind_of=kind_of) as proxy:
        yield proxy


@pytest.fixture
async def driver(fake: GCSFake, proxy: FaultProxy) -> AsyncIterator[GCSDriver]:
    driver = open_bucket(GCSSection(bucket="registry", credentials=dict(fake.key())), endpoint=proxy.url)
    yield driver
    await driver.close()


@pytest.mark.parametrize("fault", PASSING)
async def test_a_fault_that_passes_is_not_seen_by_callers(driver: GCSDriver, proxy: FaultProxy, fault: Fault) -> None:
    for kind in ("insert", "insert", "media", "facts", "list", "rewriteTo", "compose", "batch", "delete"):
        proxy.fail(kind, fault)
    assert await driver.put_if_absent("/f/a", b"a")
    await driver.put("/f/b", b"b")
    assert await driver.get("/f/a") == b"a"
    assert (await driver.stat("/f/a")).size_bytes == 1
    assert [entry.name for entry in await driver.list("/f")] == ["a", "b"]
    await driver.copy(["/f/a"], "/g/one")
    await driver.copy(["/f/a", "/f/b"], "/g/two")
    assert await driver.get("/g/two") == b"ab"
    assert await driver.delete_each(["/f/a", "/f/b"]) == 2
    await driver.delete("/g/one")


@pytest.mark.parametrize("fault", PASSING)
async def test_parts_are_written_once_whatever_happens_to_their_answers(
    driver: GCSDriver, proxy: FaultProxy, fault: Fault
) -> None:
    content = CONTENT[: 2 * STEP_BYTES + 5]
    writer = await driver.begin_parts("/a")
    for at in range(0, len(content), STEP_BYTES):
        proxy.fail("part", fault)
        await writer.add([content[at : at + STEP_BYTES]])
        await writer.settle()
    await writer.complete()
    assert await driver.get("/a") == content


async def test_a_body_that_breaks_off_is_gone_on_with_where_it_broke(driver: GCSDriver, proxy: FaultProxy) -> None:
    await driver.put("/a", CONTENT)
    proxy.fail("media", Fault.CUT, times=2)
    with await driver.open("/a") as reader:
        assert b"".join([piece async for piece in reader.chunks()]) == CONTENT
    ranges = [passed.headers.get("range", "") for passed in proxy.requests if passed.kind == "media"]
    assert ranges[0] == ""
    assert all(not wanted.startswith("bytes=0-") for wanted in ranges[1:])


async def test_a_service_that_stays_away_is_said_to_be_away(
    driver: GCSDriver, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)
    proxy.fail("insert", Fault.SLOW_DOWN, times=100)
    with pytest.raises(StorageUnavailable, match="status 503"):
        await driver.put("/a", b"a")
    assert proxy.counts["insert"] == 6


async def test_an_outage_is_no_service_without_batches(
    driver: GCSDriver, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was: from then on a collection removed its objects one by one."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    for name in "abcd":
        await driver.put(f"/f/{name}", b"x")
    proxy.fail("batch", Fault.SLOW_DOWN, times=6)
    assert await driver.delete_each(["/f/a", "/f/b"]) == 2
    assert (proxy.counts["batch"], proxy.counts["delete"]) == (6, 2)
    assert await driver.delete_each(["/f/c", "/f/d"]) == 2
    assert (proxy.counts["batch"], proxy.counts["delete"]) == (7, 2)


async def test_a_page_of_a_proxy_says_of_no_object_that_it_is_not_there(fake: GCSFake) -> None:
    async with RudeServer([Said(404, b"<html><body>404 Not Found</body></html>")]) as server:
        driver = open_bucket(GCSSection(bucket="registry", credentials=dict(fake.key())), endpoint=server.url)
        for asking in (driver.get("/a"), driver.open("/a"), driver.stat("/a"), driver.list("/a")):
            with pytest.raises(StorageUnavailable, match="status 404"):
                await asking
        server.answers = [Said(404, b"No such object: registry/a")]
        with pytest.raises(PathUnknown):
            await driver.get("/a")
        await driver.close()


async def _parts(driver: GCSDriver) -> None:
    writer = await driver.begin_parts("/parts")
    try:
        await writer.add([b"the only one"])
        await writer.complete()
    finally:
        await writer.abort()


async def _remove(driver: GCSDriver, *names: str) -> None:
    for failure in (await driver.remove(names, until=float("inf"))).values():
        raise failure


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        ("insert", lambda driver: driver.put("/new", b"new")),
        ("insert", lambda driver: driver.put_if_absent("/new", b"new")),
        ("facts", lambda driver: driver.stat("/f/a", folder=False)),
        ("media", lambda driver: driver.get("/f/a")),
        ("media", lambda driver: driver.open("/f/a")),
        ("list", lambda driver: driver.list("/f")),
        ("delete", lambda driver: driver.delete("/f/a")),
        ("part", _parts),
        ("rewriteTo", lambda driver: driver.copy(["/f/a"], "/new")),
        ("compose", lambda driver: driver.copy(["/f/a", "/f/b"], "/new")),
    ],
)
async def test_a_page_in_the_services_place_is_no_answer(
    driver: GCSDriver, proxy: FaultProxy, kind: str, ask: Callable[[GCSDriver], Awaitable[object]]
) -> None:
    """It was one for what was written, joined, copied or removed."""
    await driver.put("/f/a", b"a")
    await driver.put("/f/b", b"b")
    proxy.fail(kind, Fault.PAGE)
    with pytest.raises(StorageUnavailable):
        await ask(driver)
    assert proxy.counts[kind]
    assert not await driver.exists("/new")


async def test_bytes_from_another_place_than_was_asked_for_are_not_given(fake: GCSFake) -> None:
    """Some caches know no ranges."""
    facts = b'{"name": "a", "size": "8", "updated": "2026-11-29T12:00:00Z", "generation": "1"}'
    whole = Said(200, b"01234567", {"X-Goog-Generation": "1"})
    async with RudeServer([Said(200, facts), whole]) as server:
        driver = open_bucket(GCSSection(bucket="registry", credentials=dict(fake.key())), endpoint=server.url)
        with await driver.open("/a", is_whole=False) as reader, pytest.raises(StorageUnavailable, match="all of them"):
            assert [piece async for piece in reader.chunks(5)]
        await driver.close()


@pytest.mark.parametrize("names", [["/f/a"], ["/f/a", "/f/b"]])
async def test_a_removal_is_not_done_behind_its_time(driver: GCSDriver, proxy: FaultProxy, names: list[str]) -> None:
    for name in names:
        await driver.put(name, b"x")
    proxy.fail("delete" if len(names) == 1 else "batch", Fault.HELD)
    until = clock() + 0.5
    removing = asyncio.ensure_future(driver.remove(names, until=until))
    await asyncio.sleep(0.6)
    proxy.released.set()
    assert sorted(await removing) == names
    assert [await driver.exists(name) for name in names] == [True] * len(names)
