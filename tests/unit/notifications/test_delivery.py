"""Delivery of what a database keeps: order in each lane, who delivers, and what becomes of failures."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.metadata.sql.outbox import SqlOutbox
from moorage.notifications.delivery import OutboxDelivery
from moorage.notifications.endpoints import EndpointSettings, lease_name
from moorage.notifications.outbox import NoticeChoice
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.leases import Leases
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.work.loop import RoundOutcome
from support.announcing import announcer
from support.receiver import Event, Heard, Receiver, Reply, receiving

A, B = RepositoryName("a"), RepositoryName("b")
NONE = Digest.of(b"")
ROOM = {"told": 1_000_000}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    migrate_sqlite(tmp_path / "moorage.db")
    opened = await SqliteDatabase.open(tmp_path / "moorage.db")
    yield opened
    await opened.close()


async def queue(database: SqliteDatabase, *names: RepositoryName, tag: str = "") -> None:
    """Have an event for each of *names* wait."""
    made = announcer()
    notices = [notice for number, name in enumerate(names) for notice in made.tag_deleted(name, f"{tag}{number}")]
    assert await SqlOutbox(database).add(notices, limits=ROOM) == []


def delivery(database: SqliteDatabase, receiver: Receiver, *, holder: str = "me", **more: object) -> OutboxDelivery:
    settings = EndpointSettings(
        name="told",
        url=receiver.url,
        backoff=timedelta(milliseconds=1),
        timeout=timedelta(seconds=5),
        **more,  # type: ignore[arg-type]
    )
    return OutboxDelivery(settings, SqlOutbox(database), Leases(database), holder=holder)


@asynccontextmanager
async def at_work(made: OutboxDelivery) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def heard(receiver: Receiver, is_enough: Callable[[Receiver], bool]) -> None:
    await asyncio.to_thread(receiver.wait, is_enough)


def tags(events: list[Event], name: RepositoryName) -> list[str]:
    return [event["target"]["tag"] for event in events if event["target"]["repository"] == name.text]


async def test_each_lane_is_in_order_and_what_arrived_is_forgotten(database: SqliteDatabase) -> None:
    await queue(database, *[A, B] * 40)
    with receiving() as receiver:
        async with at_work(delivery(database, receiver)):
            await heard(receiver, lambda it: len(it.taken) == 80)
            while await SqlOutbox(database).queues():  # noqa: ASYNC110 - another task sees to it
                await asyncio.sleep(0.01)
    assert tags(receiver.taken, A) == [str(number) for number in range(0, 80, 2)]
    assert tags(receiver.taken, B) == [str(number) for number in range(1, 80, 2)]


async def test_what_is_dropped_behind_a_slow_receiver_is_not_sent(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.notifications.delivery._FRESH_S", 0)
    has_come, go_on = threading.Event(), threading.Event()
    await queue(database, A, A, A)

    def decide(request: Heard) -> Reply:
        if request.events[0]["target"]["tag"] == "0":
            has_come.set()
            assert go_on.wait(60)
        return Reply()

    with receiving(decide) as receiver:
        async with at_work(delivery(database, receiver)):
            assert await asyncio.to_thread(has_come.wait, 60)
            assert await SqlOutbox(database).drop(NoticeChoice(waits=True)) == 3
            go_on.set()
            await queue(database, A, tag="later")
            await heard(receiver, lambda it: "later0" in tags(it.taken, A))
    assert tags(receiver.taken, A) == ["0", "later0"]


async def test_a_lane_that_is_refused_waits_and_the_others_go_on(database: SqliteDatabase) -> None:
    await queue(database, A, A, B, B)
    refuses = True

    def decide(request: Heard) -> Reply:
        return Reply(status=400) if refuses and request.events[0]["target"]["repository"] == "a" else Reply()

    with receiving(decide) as receiver:
        async with at_work(delivery(database, receiver, max_retries=1000)):
            await heard(receiver, lambda it: tags(it.taken, B) == ["2", "3"])
            assert tags(receiver.taken, A) == []
            refuses = False
            await heard(receiver, lambda it: tags(it.taken, A) == ["0", "1"])


async def test_an_event_that_fails_for_good_lets_those_after_it_go(database: SqliteDatabase) -> None:
    await queue(database, A, A)

    def decide(request: Heard) -> Reply:
        return Reply(status=422) if request.events[0]["target"]["tag"] == "0" else Reply()

    with receiving(decide) as receiver:
        async with at_work(delivery(database, receiver, max_retries=2)):
            await heard(receiver, lambda it: tags(it.taken, A) == ["1"])
    assert len(receiver.heard) == 4
    (failed,) = await SqlOutbox(database).listed(NoticeChoice(), after=0, limit=10)
    assert (failed.tries, failed.error) == (3, "it answered 422")


async def test_an_endpoint_that_is_away_loses_nothing_however_often_it_is_tried(database: SqliteDatabase) -> None:
    await queue(database, A, B)
    is_away = True
    with receiving(lambda _: Reply(status=503) if is_away else Reply()) as receiver:
        async with at_work(delivery(database, receiver, max_retries=1)):
            await heard(receiver, lambda it: len(it.heard) > 8)
            assert await SqlOutbox(database).listed(NoticeChoice(), after=0, limit=10) == []
            is_away = False
            await heard(receiver, lambda it: len(it.taken) == 2)


async def test_an_endpoint_that_was_away_too_long_leaves_events_for_the_command(database: SqliteDatabase) -> None:
    await queue(database, A)
    with receiving(lambda _: Reply(status=503)) as receiver:
        async with at_work(delivery(database, receiver, max_retries=1, keep_trying=timedelta(0))):
            await heard(receiver, lambda it: len(it.heard) == 2)
            while not (failed := await SqlOutbox(database).listed(NoticeChoice(), after=0, limit=10)):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    assert failed[0].error == "it answered 503"


async def test_an_endpoint_that_is_away_is_asked_with_one_event_at_a_time_of_each_lane_in_turn(
    database: SqliteDatabase,
) -> None:
    names = [RepositoryName(f"r{number}") for number in range(20)]
    await queue(database, *names)
    with receiving(lambda _: Reply(status=503)) as receiver:
        made = delivery(database, receiver)
        await made.round()
        first = len(receiver.heard)
        for number in range(1, 5):
            await made.round()
            assert len(receiver.heard) <= first + number
        asked = [request.events[0]["target"]["repository"] for request in receiver.heard[first:]]
        assert len(set(asked)) == len(asked) == 4
        await made._sender.close()


async def test_an_event_that_breaks_its_receiver_does_not_stand_for_the_endpoint(database: SqliteDatabase) -> None:
    await queue(database, A, *[B] * 5)

    def decide(request: Heard) -> Reply:
        return Reply(status=500) if request.events[0]["target"]["repository"] == "a" else Reply()

    with receiving(decide) as receiver:
        async with at_work(delivery(database, receiver, max_retries=1)):
            await heard(receiver, lambda it: len(tags(it.taken, B)) == 5)
    assert [each.lane for each in await SqlOutbox(database).waiting("told", limit=9, without=[])][:1] == ["a"]


async def test_one_node_delivers_and_another_takes_over(database: SqliteDatabase) -> None:
    await queue(database, A)
    leases = Leases(database)
    assert await leases.take(lease_name("told"), "another", timedelta(minutes=1)) is not None
    with receiving() as receiver:
        made = delivery(database, receiver)
        found = await made.round()
        assert (found.outcome, found.pause_s) == (RoundOutcome.IDLE, 5.0)
        assert receiver.heard == []
        await leases.release(lease_name("told"), "another")
        assert (await made.round()).outcome is RoundOutcome.WORKED
        assert tags(receiver.taken, A) == ["0"]
        assert await leases.holder(lease_name("told")) == "me"
        await made._sender.close()


async def test_a_stop_gives_the_lease_back_and_forgets_what_arrived(database: SqliteDatabase) -> None:
    await queue(database, A, B)

    def decide(request: Heard) -> Reply:
        return Reply(hangs=request.events[0]["target"]["repository"] == "b")

    with receiving(decide) as receiver:
        async with at_work(delivery(database, receiver)):
            await heard(receiver, lambda it: len(it.heard) == 2 and len(it.taken) == 1)
            await asyncio.sleep(0.05)
    assert await Leases(database).holder(lease_name("told")) is None
    assert [each.lane for each in await SqlOutbox(database).waiting("told", limit=9, without=[])] == ["b"]
