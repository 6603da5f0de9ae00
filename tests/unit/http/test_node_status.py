"""The state of a registry: since when, what does not answer, and what wants somebody."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime

import pytest

from moorage.errors import StorageUnavailable
from moorage.http import registry_parts
from moorage.http.node_status import NodeStatus, PartFound, StatusPart
from moorage.metadata.background.background_migrations import BackgroundMigration, MigrationProgress, Status
from moorage.room import Room
from moorage.storage.memory import MemoryDriver
from moorage.storage.presence import Activity, announce

MOMENT = datetime(2026, 11, 29, tzinfo=UTC)


async def no_nodes() -> Mapping[str, int]:
    return {}


def status_of(*parts: StatusPart, deadline_s: float = 5.0) -> NodeStatus:
    return NodeStatus(parts, metadata="link files", nodes=no_nodes, deadline_s=deadline_s)


def part(name: str, ask: Callable[[], Awaitable[PartFound]]) -> StatusPart:
    return StatusPart(name=name, kind="storage", ask=ask, next_step="look")


async def test_what_does_not_answer_in_time_is_broken_and_holds_nobody_else_up() -> None:
    never = asyncio.Event()

    async def hang() -> PartFound:
        await never.wait()
        return PartFound()

    async def answer() -> PartFound:
        return PartFound(said="here")

    found = await status_of(part("slow", hang), part("quick", answer), deadline_s=0.01).ask()
    slow, quick = (seen.found for seen in found.parts)
    assert (slow.state, slow.said, slow.next_step) == ("broken", "no answer within 0.01 s", "look")
    assert (quick.state, quick.said, found.state) == ("good", "here", "broken")


async def test_since_is_when_the_state_changed_and_not_when_its_words_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moorage.http.node_status._FRESH_S", -1.0)
    answers: Iterator[PartFound | StorageUnavailable] = iter(
        [PartFound(said="1"), PartFound(said="2"), StorageUnavailable("gone"), StorageUnavailable("still")]
    )

    async def ask() -> PartFound:
        answer = next(answers)
        if isinstance(answer, StorageUnavailable):
            raise answer
        return answer

    asked = status_of(part("storage", ask))
    seen = [(await asked.ask()).parts[0] for _ in range(4)]
    assert [one.found.said for one in seen] == ["1", "2", "gone", "still"]
    assert seen[0].since == seen[1].since < seen[2].since == seen[3].since


async def test_an_answer_stands_for_a_moment_so_that_many_who_look_ask_once() -> None:
    count = 0

    async def ask() -> PartFound:
        nonlocal count
        count += 1
        return PartFound()

    asked = status_of(part("storage", ask))
    await asyncio.gather(*(asked.ask() for _ in range(20)))
    assert count == 1


async def test_a_storage_without_room_is_broken_and_says_that_pulls_go_on() -> None:
    room = Room({})
    room.close("the disk is full")
    found = await registry_parts.storage_part(MemoryDriver(), room).ask()
    assert (found.state, found.said) == ("broken", "no room is left, pushes are refused: the disk is full")
    assert "pulls and deletes go on" in found.next_step


@pytest.mark.parametrize(
    ("status", "migrates", "state", "said"),
    [
        (Status.RUNNING, True, "good", "fill 40%"),
        (Status.PAUSED, True, "look", "fill 40% (paused)"),
        (Status.FAILED, True, "look", "fill 40% (failed)"),
        (Status.ACTIVE, False, "look", "fill 40% (off on this node)"),
        (Status.FINISHED, False, "good", ""),
    ],
)
async def test_a_migration_that_does_not_go_on_wants_somebody(
    status: Status, *, migrates: bool, state: str, said: str
) -> None:
    row = BackgroundMigration(1, "fill", 1, 9, 5, status, "job", "blobs", "id", None, "SerialKeySetBatchingStrategy", 9)

    async def progress() -> list[MigrationProgress]:
        return [MigrationProgress(row, 0.4, 2, 0)]

    found = await registry_parts.migrations_part(progress, migrates=migrates).ask()
    assert (found.state, found.said) == (state, said)
    assert bool(found.next_step) == (state == "look")


async def test_nodes_are_those_that_have_said_so_on_the_storage() -> None:
    storage = MemoryDriver()
    assert await registry_parts.nodes_at_work(storage) == {}
    shown = [await announce(storage, Activity.WRITING) for _ in range(2)]
    collecting = await announce(storage, Activity.COLLECTING)
    (count,) = (await registry_parts.nodes_at_work(storage)).values()
    assert count == 2
    for each in (*shown, collecting):
        await each.close()
