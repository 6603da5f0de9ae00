"""How far a check is: what is kept of it, and what comes of what cannot be read."""

import json
from pathlib import Path

import pytest

from moorage.errors import StorageUnavailable
from moorage.integrity.findings import FIRST_FINDINGS, Finding, Kind, Note
from moorage.integrity.progress import Progress, Report, new_state, unfinished
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver


def finding(number: int = 0) -> Finding:
    return Finding(kind=Kind.FOREIGN, subject=f"/{number}", size_bytes=7, detail='"quoted"\n', repair="")


async def test_what_is_saved_is_what_is_read() -> None:
    storage = MemoryDriver()
    progress = Progress(storage, new_state(store="database", verifies=True))
    progress.found(finding())
    progress.tally.note(Note.UNREFERENCED, 9)
    progress.tally.hashed_bytes = 1 << 50
    await progress.reached("blobs", "sha256/ab/abc")
    await progress.save()
    assert await unfinished(storage) == progress.state
    await progress.finish()
    assert await unfinished(storage) is None


async def test_in_the_middle_of_something_that_is_done_in_one_go_nothing_is_saved() -> None:
    """Or else what was found until Ctrl-C would be counted twice."""
    storage = MemoryDriver()
    progress = Progress(storage, new_state(store="layout", verifies=False))
    await progress.reached("links")
    await progress.save()
    progress.hold()
    progress.found(finding())
    await progress.save()
    state = await unfinished(storage)
    assert state is not None
    assert state.tally.differences == {}
    await progress.reached("after")
    await progress.save()
    state = await unfinished(storage)
    assert state is not None
    assert state.tally.differences[Kind.FOREIGN].number == 1


async def test_however_many_differences_there_are_so_many_are_kept_and_all_are_counted() -> None:
    storage = MemoryDriver()
    progress = Progress(storage, new_state(store="database", verifies=True))
    for number in range(FIRST_FINDINGS + 500):
        progress.found(finding(number))
    await progress.save()
    state = await unfinished(storage)
    assert state is not None
    assert (len(state.tally.first), state.tally.first[-1].subject) == (FIRST_FINDINGS, f"/{FIRST_FINDINGS - 1}")
    assert state.tally.differences[Kind.FOREIGN].number == FIRST_FINDINGS + 500


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b"\xff"], ids=str)
async def test_what_another_version_wrote_is_refused_with_what_to_do(content: bytes) -> None:
    storage = MemoryDriver()
    await storage.put(paths.CHECK, content)
    with pytest.raises(StorageUnavailable, match="start without --resume"):
        await unfinished(storage)


def test_a_report_that_goes_on_loses_what_was_written_after_the_last_position(tmp_path: Path) -> None:
    path = tmp_path / "report"
    report = Report(path, keep_bytes=None)
    report.write(finding(1))
    kept = report.settle()
    report.write(finding(2))
    report.close()
    again = Report(path, keep_bytes=kept)
    again.write(finding(3))
    again.settle()
    again.close()
    assert [json.loads(line)["subject"] for line in path.read_text().splitlines()] == ["/1", "/3"]


def test_a_new_report_replaces_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("of another check, and longer than the new one\n" * 9)
    report = Report(path, keep_bytes=None)
    report.write(finding())
    report.settle()
    report.close()
    assert len(path.read_text().splitlines()) == 1
