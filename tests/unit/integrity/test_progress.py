"""How far a check is: what is kept of it, and what comes of what cannot be read."""

import json
import os
import stat
from pathlib import Path

import pytest

from moorage.errors import StorageUnavailable
from moorage.integrity.findings import FIRST_FINDINGS, Finding, FindingKind, Note
from moorage.integrity.progress import (
    CheckProgress,
    ReportIncomplete,
    State,
    last_outcome,
    new_state,
    report_of,
    unfinished,
)
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver


def finding(number: int = 0) -> Finding:
    return Finding(kind=FindingKind.FOREIGN, subject=f"/{number}", size_bytes=7, detail='"quoted"\n', repair="")


async def test_what_is_saved_is_what_is_read() -> None:
    storage = MemoryDriver()
    progress = CheckProgress(storage, new_state(store="database", verifies=True))
    progress.found(finding())
    progress.tally.note(Note.UNREFERENCED, 9)
    progress.tally.hashed_bytes = 1 << 50
    await progress.reached("blobs", "sha256/ab/abc")
    await progress.save()
    assert await unfinished(storage) == progress.state
    await progress.finish()
    assert await unfinished(storage) is None


async def test_the_outcome_of_a_check_is_kept_until_the_next_one_ends() -> None:
    storage = MemoryDriver()
    assert await last_outcome(storage) is None
    for number in (1, 2):
        progress = CheckProgress(storage, new_state(store="database", verifies=True))
        progress.found(finding(number))
        await progress.finish()
        kept = await last_outcome(storage)
        assert kept == progress.state
        assert kept is not None
        assert kept.ended_at is not None
    begun = CheckProgress(storage, new_state(store="database", verifies=True))
    await begun.save()
    kept = await last_outcome(storage)
    assert kept is not None
    assert [one.subject for one in kept.tally.noted.first] == ["/2"]


async def test_an_outcome_that_another_version_wrote_counts_as_none() -> None:
    storage = MemoryDriver()
    await storage.put(paths.CHECKED, b'{"version": 2}')
    assert await last_outcome(storage) is None


async def test_a_check_whose_outcome_cannot_be_kept_says_so_and_ends_all_the_same() -> None:
    storage = MemoryDriver()
    await storage.put(f"{paths.CHECKED}/in-the-way", b"")
    progress = CheckProgress(storage, new_state(store="database", verifies=True))
    await progress.finish()
    assert progress.unkept


async def test_in_the_middle_of_something_that_is_done_in_one_go_nothing_is_saved() -> None:
    """Or else what was found until Ctrl-C would be counted twice."""
    storage = MemoryDriver()
    progress = CheckProgress(storage, new_state(store="layout", verifies=False))
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
    assert state.tally.differences[FindingKind.FOREIGN].number == 1


async def test_however_many_differences_there_are_so_many_are_kept_and_all_are_counted() -> None:
    storage = MemoryDriver()
    progress = CheckProgress(storage, new_state(store="database", verifies=True))
    for number in range(FIRST_FINDINGS + 500):
        progress.found(finding(number))
    await progress.save()
    state = await unfinished(storage)
    assert state is not None
    assert (len(state.tally.noted.first), state.tally.noted.first[-1].subject) == (
        FIRST_FINDINGS,
        f"/{FIRST_FINDINGS - 1}",
    )
    assert state.tally.differences[FindingKind.FOREIGN].number == FIRST_FINDINGS + 500


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b"\xff"], ids=str)
async def test_what_another_version_wrote_is_refused_with_what_to_do(content: bytes) -> None:
    storage = MemoryDriver()
    await storage.put(paths.CHECK, content)
    with pytest.raises(StorageUnavailable, match="start without --resume"):
        await unfinished(storage)


async def written(storage: MemoryDriver, path: Path, *numbers: int) -> State:
    """A check with a report of so many differences that was ended after it was saved, and a moment after that."""
    state = new_state(store="database", verifies=True)
    report = report_of(state, path)
    progress = CheckProgress(storage, state, report=report)
    for number in numbers:
        progress.found(finding(number))
    await progress.reached("blobs", "sha256/ab")
    await progress.save()
    report.write(finding(99))
    report.settle()
    report.close()
    found = await unfinished(storage)
    assert found is not None
    return found


def subjects(path: Path) -> list[str]:
    return [json.loads(line)["subject"] for line in path.read_text().splitlines()]


async def test_a_report_that_goes_on_loses_what_was_written_after_the_last_position(tmp_path: Path) -> None:
    path = tmp_path / "report"
    state = await written(MemoryDriver(), path, 1, 2)
    for number in (3, 4):  # From one end to the next.
        report = report_of(state, path)
        report.write(finding(number))
        state.report = report.settle()
        report.close()
    assert subjects(path) == ["/1", "/2", "/3", "/4"]


@pytest.mark.parametrize("content", [None, b"", b"{}\n", b"another check's, and longer than ours\n" * 99], ids=str)
async def test_a_report_that_is_not_the_one_of_the_unfinished_check_is_refused_and_stays_as_it_is(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "report"
    state = await written(MemoryDriver(), path, 1, 2)
    ours = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportIncomplete, match="put that file back, or begin anew, without --resume"):
        report_of(state, path)
    assert (path.read_bytes() if path.exists() else None) == content
    path.write_bytes(ours)
    report_of(state, path).close()
    assert subjects(path) == ["/1", "/2"]


async def test_an_empty_report_of_an_unfinished_check_need_not_be_there_any_more(tmp_path: Path) -> None:
    state = await written(MemoryDriver(), tmp_path / "report")
    report_of(state, tmp_path / "other").close()
    assert (tmp_path / "other").read_bytes() == b""


async def test_a_report_is_not_believed_to_be_whole_after_a_run_without_one(tmp_path: Path) -> None:
    storage, path = MemoryDriver(), tmp_path / "report"
    state = await written(storage, path, 1, 2)
    progress = CheckProgress(storage, state)
    progress.found(finding(3))
    await progress.save()
    found = await unfinished(storage)
    assert found is not None
    report = report_of(found, path)
    report.settle()
    report.close()
    assert subjects(path) == ["/1", "/2", "/3"]


def test_a_report_that_would_lack_differences_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("what was there")
    state = new_state(store="database", verifies=True)
    for number in range(FIRST_FINDINGS + 1):
        state.tally.add(finding(number))
    with pytest.raises(ReportIncomplete, match=r"1,001 differences .* only the first 1,000 .* go on without --report"):
        report_of(state, path)
    assert path.read_text() == "what was there"


def test_a_new_report_replaces_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("of another check, and longer than the new one\n" * 9)
    report = report_of(new_state(store="database", verifies=True), path)
    report.write(finding())
    report.settle()
    report.close()
    assert subjects(path) == ["/0"]


@pytest.mark.parametrize("mode", [None, 0o640])
async def test_a_report_is_its_owners_unless_it_was_there_with_another_mode(tmp_path: Path, mode: int | None) -> None:
    path = tmp_path / "report"
    before = os.umask(0)
    try:
        if mode is not None:
            path.touch()
            path.chmod(mode)
        report_of(new_state(store="layout", verifies=True), path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
