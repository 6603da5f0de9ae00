"""Reads of the same thing by many at once."""

import asyncio

import pytest

from moorage.errors import DatabaseUnavailable
from moorage.sql.base import Row
from moorage.sql.joined_reads import JoinedReads


class Table:
    """Something that is read slowly: each read waits to be let go, and then tells what there was when it began."""

    def __init__(self) -> None:
        self.value = 0
        self.reads: list[asyncio.Event] = []
        self.error: DatabaseUnavailable | None = None
        self.joined = JoinedReads()

    async def read(self) -> Row | None:
        seen, gate = self.value, asyncio.Event()
        self.reads.append(gate)
        await gate.wait()
        if self.error is not None:
            raise self.error
        return (seen,)

    def ask(self, key: str = "key") -> "asyncio.Task[Row | None]":
        return asyncio.create_task(self.joined.first(key, self.read))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_while_it_is_read_gets_what_was_read_after_it_asked() -> None:
    table = Table()
    first = table.ask()
    await settle()
    table.value = 1
    others = [table.ask() for _ in range(5)]
    await settle()
    assert len(table.reads) == 1
    table.reads[0].set()
    await settle()
    assert await first == (0,)
    assert len(table.reads) == 2
    table.reads[1].set()
    assert await asyncio.gather(*others) == [(1,)] * 5
    assert not table.joined._waiting


async def test_other_things_are_read_meanwhile() -> None:
    table = Table()
    asked = [table.ask("one"), table.ask("other")]
    await settle()
    for gate in table.reads:
        gate.set()
    assert await asyncio.gather(*asked) == [(0,), (0,)]


async def test_a_failure_is_everybodys_who_waited_for_that_read_and_nobody_elses() -> None:
    table = Table()
    first = table.ask()
    await settle()
    others = [table.ask() for _ in range(3)]
    await settle()
    table.reads[0].set()
    await first
    await settle()
    late = table.ask()
    await settle()
    table.error = DatabaseUnavailable("gone")
    table.reads[1].set()
    failures = await asyncio.gather(*others, return_exceptions=True)
    assert [type(each) for each in failures] == [DatabaseUnavailable] * 3
    assert len({id(each) for each in failures}) == 3
    table.error = None
    await settle()
    table.reads[2].set()
    assert await late == (0,)


@pytest.mark.parametrize("when", ["while it waits", "as it is told to read", "while it reads"])
async def test_one_that_goes_away_leaves_the_read_to_another(when: str) -> None:
    table = Table()
    first = table.ask()
    await settle()
    leaver, stayer = table.ask(), table.ask()
    await settle()
    if when == "while it waits":
        leaver.cancel()
    table.reads[0].set()
    if when == "as it is told to read":
        await asyncio.wait([first])
        leaver.cancel()
    await settle()
    if when == "while it reads":
        leaver.cancel()
    await settle()
    for gate in table.reads:
        gate.set()
    await settle()
    for gate in table.reads:
        gate.set()
    assert await stayer == (0,)
    assert leaver.cancelled()
    assert not table.joined._waiting
