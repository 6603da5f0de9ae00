"""Records of imports, as GitLab's statistics show them: each phase, also one that failed or was killed. V1A-029."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from contract.metadata.pushing import push_image
from contract.moving.movers import Mover
from moorage.errors import DatabaseUnavailable, StorageUnavailable
from moorage.http.gitlab_v1.gitlab_shapes import import_attempt
from moorage.metadata.import_records import ImportRecord
from moorage.metadata.imports import FoundTag
from moorage.metadata.sql.import_records import SqlImportRecords
from moorage.metadata.sql.imports import SqlImports
from moorage.moving.importing import Import, ImportOptions, ImportRefused, Step
from moorage.moving.outcome import Teller
from moorage.oci.names import RepositoryName
from moorage.storage.presence import Activity, announce
from moorage.work.reports import WorkReports
from support.images import image

PRE, ALL, COMMON = Step


async def attempts(mover: Mover) -> Sequence[Mapping[str, object]]:
    return [import_attempt(*found) for found in await SqlImportRecords(mover.sql.database).newest(9)]


def planned(attempt: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(attempt[phase] for phase in ("pre_import", "tag_import", "blob_import"))


def counts(attempt: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(attempt[f"{what}_count"] for what in ("repositories", "tags", "manifests"))


async def test_each_step_has_a_record_with_its_phase_and_counts(mover: Mover) -> None:
    made = image("a")
    await push_image(mover.links, made, "a", "b")
    for step in (PRE, ALL, COMMON):
        await mover.run(step)
    first, second, third = found = await attempts(mover)
    assert [planned(each) for each in found] == [(True, False, False), (False, True, False), (False, False, True)]
    assert [each["id"] for each in found] == [1, 2, 3]
    assert (counts(first), counts(second), counts(third)) == ((1, 0, 1), (1, 2, 1), (0, 0, 0))
    stored = [content.body for content in (made.manifest, *made.blobs)]
    assert (third["blobs_count"], third["blobs_size_bytes"]) == (len(stored), sum(map(len, stored)))
    assert "blobs_count" not in first
    for each, phase in zip(found, ("pre_import", "tag_import", "blob_import"), strict=True):
        moments = [each[f"{part}_at"] for part in ("started", f"{phase}_started", f"{phase}_finished", "finished")]
        assert moments == sorted(moments, key=str)
        assert not [name for name in each if name.endswith("_error")]


async def test_a_full_import_is_one_record_of_all_phases(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    await mover.run()
    (found,) = await attempts(mover)
    assert planned(found) == (True, True, True)
    assert (counts(found), found["storage_driver"]) == ((1, 1, 1), "filesystem")


class Ending(SqlImports):
    """A database whose tags end in an error."""

    error: BaseException

    async def take_tags(self, name: RepositoryName, tags: Sequence[FoundTag]) -> Sequence[FoundTag]:
        del name, tags
        raise self.error


class Killed(Exception):
    """The end of a process."""


async def end_by(mover: Mover, error: BaseException) -> Mapping[str, object]:
    database = Ending(mover.sql.database)
    database.error = error
    work, _ = mover.work(database=database)
    with pytest.raises(type(error)):
        await work.run()
    return (await attempts(mover))[-1]


async def test_a_phase_that_fails_says_why_and_those_after_it_were_not_begun(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    found = await end_by(mover, StorageUnavailable("the disk is away"))
    assert (found["tag_import_error"], planned(found)) == ("the disk is away", (True, True, False))
    assert {"tag_import_finished_at", "finished_at"} <= found.keys()
    assert (await end_by(mover, asyncio.CancelledError()))["tag_import_error"] == "interrupted"
    await mover.run()
    assert "tag_import_error" not in (await attempts(mover))[-1]


async def test_of_an_import_that_is_killed_there_is_when_it_began_and_no_end(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    found = await end_by(mover, Killed())
    assert planned(found) == (True, True, False)
    assert not {"finished_at", "pre_import_finished_at", "tag_import_finished_at"} & found.keys()


async def test_what_is_refused_before_its_first_step_and_a_dry_run_leave_no_record(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    await mover.run(dry_run=True)
    await push_image(mover.sql, image("there"), "there")
    with pytest.raises(ImportRefused):
        await mover.run()
    assert await attempts(mover) == []


async def test_a_step_that_is_refused_beside_a_writer_says_so(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    writer = await announce(mover.links.storage, Activity.WRITING)
    try:
        with pytest.raises(ImportRefused):
            await mover.run(ALL)
    finally:
        await writer.close()
    (found,) = await attempts(mover)
    assert "takes pushes" in str(found["tag_import_error"])


class Away(SqlImportRecords):
    """Records that can be begun, and are away then."""

    async def write(self, number: int, record: ImportRecord) -> None:
        del number, record
        msg = "away"
        raise DatabaseUnavailable(msg)


async def test_an_import_is_done_also_if_its_record_cannot_be_written(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    warned: list[str] = []
    teller = Teller(WorkReports(), warned=warned.append)
    records = Away(mover.sql.database)
    options = ImportOptions(database="a database", storage_driver="filesystem")
    await Import(mover.links.storage, SqlImports(mover.sql.database), options, teller, records=records).run()
    assert set(await mover.tags()) == {"a"}
    assert set(warned) == {"the record of this import could not be written: away"}
