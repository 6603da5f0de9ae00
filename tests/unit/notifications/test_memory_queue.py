"""Delivery without a database: bounded, retried, emptied at the end; and pulls with one."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from moorage.notifications.endpoints import EndpointSettings
from moorage.notifications.events import Notice
from moorage.notifications.memory_queue import MemoryDelivery
from moorage.notifications.observing import AnyNotice, NoObserver
from moorage.notifications.sending import SendResult
from moorage.oci.names import RepositoryName
from support.announcing import announcer
from support.receiver import Receiver, Reply, receiving


class Counting(NoObserver):
    """Counts what became of notices."""

    def __init__(self) -> None:
        self.counts = {"taken up": 0, "tried": 0, "delivered": 0, "lost": 0, "dropped": 0}

    def taken_up(self, notice: AnyNotice) -> None:
        del notice
        self.counts["taken up"] += 1

    def tried(self, notice: AnyNotice, result: SendResult, duration_s: float) -> None:
        del notice, result, duration_s
        self.counts["tried"] += 1

    def ended(self, notice: AnyNotice, *, is_delivered: bool, retries: int, age_s: float) -> None:
        del notice, retries, age_s
        self.counts["delivered" if is_delivered else "lost"] += 1

    def dropped(self, notice: AnyNotice) -> None:
        del notice
        self.counts["dropped"] += 1


def memory(receiver: Receiver, observer: Counting, *, timeout_s: float = 5, **more: object) -> MemoryDelivery:
    settings = EndpointSettings(
        name="told",
        url=receiver.url,
        backoff=timedelta(milliseconds=1),
        timeout=timedelta(seconds=timeout_s),
        **more,  # type: ignore[arg-type]
    )
    return MemoryDelivery([settings], fanout_timeout=timedelta(seconds=30), observer=observer)


def notices(count: int) -> Sequence[Notice]:
    made = announcer()
    return [notice for number in range(count) for notice in made.tag_deleted(RepositoryName("a"), str(number))]


def tags(receiver: Receiver) -> list[str]:
    return [event["target"]["tag"] for event in receiver.taken]


async def test_what_waits_goes_in_order_before_the_end() -> None:
    counting = Counting()
    with receiving() as receiver:
        made = memory(receiver, counting)
        async with made.at_work():
            made.tell(notices(20))
        assert tags(receiver) == [str(number) for number in range(20)]
    assert counting.counts["delivered"] == 20


async def test_the_newest_is_dropped_where_there_is_no_room() -> None:
    counting = Counting()
    with receiving() as receiver:
        made = memory(receiver, counting, queue_limit=3)
        made.tell(notices(5))
        async with made.at_work():
            pass
        assert tags(receiver) == ["0", "1", "2"]
    assert counting.counts == {"taken up": 5, "tried": 3, "delivered": 3, "lost": 0, "dropped": 2}


async def test_an_event_is_lost_after_its_retries_and_the_next_one_goes() -> None:
    counting = Counting()
    with receiving(lambda heard: Reply(status=500 if heard.events[0]["target"]["tag"] == "0" else 200)) as receiver:
        made = memory(receiver, counting, max_retries=2)
        made.tell(notices(2))
        async with made.at_work():
            pass
        assert tags(receiver) == ["1"]
    assert counting.counts == {"taken up": 2, "tried": 4, "delivered": 1, "lost": 1, "dropped": 0}


async def test_the_end_waits_no_longer_than_it_may() -> None:
    with receiving(lambda _: Reply(hangs=True)) as receiver:
        made = memory(receiver, Counting(), timeout_s=3600, purge_timeout=timedelta(milliseconds=50))
        made.tell(notices(1))
        async with asyncio.timeout(60), made.at_work():
            pass
        assert receiver.taken == []
