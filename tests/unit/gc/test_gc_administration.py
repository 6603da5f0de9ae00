"""A run on request, and what metrics are told of rounds: until when, of what, and when not at all."""

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from contract.metadata.pushing import push_blob
from contract.metadata.stores import SqlStore
from moorage.errors import StorageUnavailable
from moorage.gc.online.collection_metrics import CollectionMetrics
from moorage.gc.online.gc_administration import GcAdministration
from moorage.gc.online.review_loop import ReviewObserver, ReviewPace
from moorage.gc.online.reviewed import BlobsReviewed, Round
from moorage.metadata.adoptions import AdoptionLedger
from moorage.metadata.sql.adoptions import SqlAdoptionLedger
from moorage.metadata.sql.explanations import SqlExplanations
from moorage.metadata.sql.queues import SqlQueues
from moorage.metadata.words import Queue
from moorage.metrics.meters import Meters
from moorage.moorage_errors import AdoptionUnderWay
from unit.gc import test_review_rounds as rounds
from unit.gc.test_review_rounds import Troubled

storage, store = rounds.storage, rounds.store


class Told(ReviewObserver):
    """What metrics were told: how many were due in each round, None for an error; and the pauses."""

    def __init__(self) -> None:
        self.due: list[int | None] = []
        self.pauses: list[float] = []

    def ran(self, worker: Queue, found: Round | None, duration_s: float) -> None:
        assert (worker, duration_s >= 0) == ("blob", True)
        self.due.append(None if found is None else found.due)

    def sleeps(self, worker: Queue, duration_s: float) -> None:
        assert worker == "blob"
        self.pauses.append(duration_s)


def administration(
    store: SqlStore,
    storage: Troubled,
    *,
    clock: Callable[[], float],
    observer: ReviewObserver | None = None,
    adoption: AdoptionLedger | None = None,
) -> GcAdministration:
    return GcAdministration(
        queues=SqlQueues(store.database),
        explanations=SqlExplanations(store.database),
        collectors={"blob": rounds.collector(store, storage)},
        observer=observer,
        adoption=adoption,
        clock=clock,
    )


async def test_a_run_ends_when_its_time_is_over_says_what_is_left_and_is_counted(
    store: SqlStore, storage: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.gc.online.gc_administration.BLOB_BATCH", 2)
    for number in range(5):
        await push_blob(store, bytes([number]))
    told = Told()
    found = await administration(store, storage, clock=itertools.count().__next__, observer=told).run(
        for_=timedelta(seconds=4)
    )
    assert (found.done["blob"].removed, found.done["blob"].left) == (4, 1)
    assert told.due == [2, 2]


async def test_nothing_is_collected_while_link_files_are_taken_over(store: SqlStore, storage: Troubled) -> None:
    """What only they refer to, the database takes for garbage."""
    await push_blob(store, b"a")
    ledger = SqlAdoptionLedger(store.database)
    run = administration(store, storage, clock=lambda: 0.0, adoption=ledger)
    await ledger.begin()
    with pytest.raises(AdoptionUnderWay):
        await run.run(gives_up_undo=True)
    assert await ledger.end()
    assert (await run.run()).done["blob"].removed == 1


async def test_metrics_are_told_of_each_round_of_the_loop(store: SqlStore, storage: Troubled) -> None:
    async def fail() -> None:
        msg = "away"
        raise StorageUnavailable(msg)

    told = Told()
    loop = rounds.agent(store, storage, ReviewPace(), observer=told)
    await push_blob(store, b"a")
    await loop.step()
    await loop.step()
    storage.trouble = fail
    await push_blob(store, b"b")
    await loop.step()
    assert told.due == [1, 0, None]


def test_a_round_that_a_backup_puts_off_is_counted_as_nothing() -> None:
    registry = CollectorRegistry()
    CollectionMetrics(Meters(registry)).ran("blob", BlobsReviewed(due=3), 1.0)
    assert {sample.value for family in registry.collect() for sample in family.samples} <= {0.0}
