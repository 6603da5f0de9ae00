"""Marks of a storage: a database knows its own, another's holds its collection, and being alone it goes on."""

from datetime import timedelta

from contract.metadata_collection.aging import Aging
from moorage.gc.online.one_database import HELD, OneDatabase
from moorage.metadata.sql.storage_marks import SqlStorageMarks
from moorage.storage import paths
from moorage.storage.json_notes import write_note
from moorage.storage.memory import MemoryDriver

MINUTE, ALWAYS = timedelta(minutes=1), timedelta(0)


async def test_one_of_several_nodes_sets_the_next_mark_and_the_marks_of_all_are_known(aging: Aging) -> None:
    marks = SqlStorageMarks(aging.store.database)
    assert not list(await marks.known())
    assert await marks.add("one", every=ALWAYS), "at a start"
    assert await marks.add("two", every=MINUTE)
    assert not await marks.add("three", every=MINUTE)
    assert await marks.add("four", every=ALWAYS)
    assert set(await marks.known()) == {"one", "two", "four"}


async def test_old_marks_are_forgotten_and_never_by_half(aging: Aging) -> None:
    marks = SqlStorageMarks(aging.store.database)
    for number in range(80):
        assert await marks.add(f"{number:016}", every=ALWAYS)
    known = set(await marks.known())
    assert f"{79:016}" in known
    assert f"{0:016}" not in known
    assert {len(mark) for mark in known} == {16}


async def test_anothers_mark_is_said_once_and_holds_until_nobody_sets_one(aging: Aging) -> None:
    marks, storage = SqlStorageMarks(aging.store.database), MemoryDriver()
    one = OneDatabase(marks, storage)
    await one.look(starts=True)
    assert await one.is_alone()
    await write_note(storage, paths.MARK, {"mark": "another's"})
    assert await one.has_company()
    assert not await one.is_alone()
    assert not await marks.hold(HELD), "it is known already"
    await one.look()
    assert b"another's" not in await storage.get(paths.MARK), "so that the other one notices, too"
    assert not await one.is_alone(), "it may set one again"
    await marks.hold(ALWAYS)
    assert await one.is_alone()
    await storage.put(paths.MARK, b"{")
    assert not await one.is_alone(), "what nobody can read is not its own"
