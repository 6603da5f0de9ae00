"""A node's metrics: several places count into one folder, and anybody adds them up."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram, values
from prometheus_client.parser import text_string_to_metric_families

from moorage import __version__
from moorage.errors import DatabaseUnavailable
from moorage.metadata.queues import RowCountStore
from moorage.server.metrics import Exposition, count_in


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process sets up once and for all is undone after each test."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)


class Counting(RowCountStore):
    """Counts how often it is asked; fails where a test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False

    async def count(self) -> Mapping[str, int]:
        self.asked += 1
        if self.is_away:
            msg = "away"
            raise DatabaseUnavailable(msg)
        return {"gc_blob_review_queue": self.asked}


async def told(exposition: Exposition) -> dict[str, float]:
    """Every sample by its name; those with labels by the last one's value too."""
    families = text_string_to_metric_families((await exposition.text()).decode())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def sizes(folder: Path) -> dict[str, int]:
    """How much room each file takes on the disk."""
    return {path.name: path.stat().st_blocks * 512 for path in folder.iterdir()}


def count(folder: Path, place: int, number: int) -> None:
    """What the process of a place does."""
    registry = count_in(folder, place)
    Counter("things", "Things.", registry=registry).inc(number)
    Histogram("seconds", "Time.", buckets=(1,), registry=registry).observe(number)


async def test_what_every_place_counted_is_added_up(tmp_path: Path) -> None:
    for place, number in ((0, 1), (1, 20), (-1, 300)):
        count(tmp_path, place, number)
    found = await told(Exposition(tmp_path))
    assert (found["things_total"], found["seconds_sum"], found["seconds_count"]) == (321, 321, 3)
    assert found["seconds_bucket 1.0"] == 1


async def test_who_is_started_again_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    count(tmp_path, 0, 1)
    count(tmp_path, 0, 20)
    assert (await told(Exposition(tmp_path)))["things_total"] == 21
    kinds = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
    assert set(sizes(tmp_path)) == {f"{kind}_0.db" for kind in kinds}


def test_whoever_asks_while_a_process_begins_to_count_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocate, answers = os.posix_fallocate, []

    def asked(fd: int, offset: int, length: int) -> None:
        answers.append(asyncio.run(told(Exposition(tmp_path))))
        allocate(fd, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", asked)
    count_in(tmp_path, 0)
    assert len(answers) == 4
    assert all("gitlab_build_info" in " ".join(answer) for answer in answers)


def test_the_room_to_count_in_is_taken_at_once(tmp_path: Path) -> None:
    count_in(tmp_path, 0)
    taken = sizes(tmp_path)
    assert taken["counter_0.db"] >= 1 << 20
    assert taken["histogram_0.db"] >= 4 << 20
    assert taken["gauge_livesum_0.db"] >= 1 << 16


async def test_nothing_counted_yet_is_nothing_told(tmp_path: Path) -> None:
    count_in(tmp_path, 0)
    assert await told(Exposition(tmp_path)) == {f"gitlab_build_info moorage {__version__}": 1.0}


async def test_what_only_holds_while_a_process_lives_goes_with_it(tmp_path: Path) -> None:
    for place, number in ((0, 3), (1, 4)):
        registry = count_in(tmp_path, place)
        Gauge("busy", "Now.", registry=registry, multiprocess_mode="livesum").inc(number)
    assert (await told(Exposition(tmp_path)))["busy"] == 7
    count_in(tmp_path, 0)
    assert (await told(Exposition(tmp_path)))["busy"] == 4


async def test_rows_are_counted_when_somebody_asks_and_stand_for_a_while(tmp_path: Path) -> None:
    rows = Counting()
    exposition = Exposition(tmp_path, rows=rows, interval=timedelta(hours=1))
    assert rows.asked == 0
    name = "registry_database_rows gc_blob_review_queue"
    together = await asyncio.gather(*(told(exposition) for _ in range(3)))
    assert [found[name] for found in together] == [1, 1, 1]
    exposition = Exposition(tmp_path, rows=rows, interval=timedelta(microseconds=1))
    assert [(await told(exposition))[name] for _ in range(2)] == [2, 3]


async def test_a_count_that_lets_nobody_end_it_holds_up_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.server.metrics._DEADLINE_S", 0.05)
    count(tmp_path, 0, 1)
    ends, asked = asyncio.Event(), 0

    async def hangs() -> Mapping[str, int]:
        nonlocal asked
        asked += 1
        while not ends.is_set():
            with suppress(asyncio.CancelledError):  # As a thread in a disk that hangs.
                await ends.wait()
        return {"here": 1}

    exposition = Exposition(tmp_path, pending=hangs, interval=timedelta(microseconds=1))
    for _ in range(3):
        found = await told(exposition)
        assert found["things_total"] == 1
        assert "registry_notifications_pending here" not in found
    assert asked == 1
    ends.set()


async def test_without_the_database_the_rest_is_told(tmp_path: Path) -> None:
    rows = Counting()
    rows.is_away = True
    count(tmp_path, 0, 1)
    found = await told(Exposition(tmp_path, rows=rows))
    assert found["things_total"] == 1
    assert not any(name.startswith("registry_database_rows") for name in found)
