"""``moorage check``: what it says, its status, and what it refuses."""

import asyncio
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli import check_output, checking
from moorage.cli.app import app
from moorage.cli.checking import DIFFERENCES, NO_DIFFERENCES, NOT_DONE
from moorage.integrity.findings import Finding, FindingKind, Note, Tally
from moorage.integrity.progress import CheckProgress, State, new_state, report_of
from moorage.oci.digests import Digest
from moorage.starting.check_start import CheckWish
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

CONTENT = b"a blob"
DIGEST = Digest.of(CONTENT)
BEGAN = datetime(2026, 11, 25, 16, tzinfo=UTC)


def state(*findings: Finding, verifies: bool = True) -> State:
    """What a check came to."""
    made = State(store="database", verifies=verifies, started_at=BEGAN)
    made.tally.blobs, made.tally.stored_bytes, made.tally.manifests = 1234, 3 << 20, 56
    made.tally.hashed_bytes = made.tally.stored_bytes if verifies else 0
    for finding in findings:
        made.tally.add(finding)
    return made


def damaged(number: int = 0, *, repair: str = "") -> Finding:
    subject = str(Digest.of(str(number).encode()))
    return Finding(
        kind=FindingKind.DIGEST_DIFFERS, subject=subject, size_bytes=2048, detail="other bytes", repair=repair
    )


def on_disk(folder: Path, path: str, content: bytes) -> Path:
    """A file of a registry, written past it."""
    made = folder / path.lstrip("/")
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(content)
    return made


async def ended(data: Path, report: Path, finding: Finding) -> None:
    """A check that was ended at its beginning, after it had found something."""
    storage = FilesystemDriver(data)
    state = new_state(store="layout", verifies=True)
    kept = report_of(state, report)
    progress = CheckProgress(storage, state, report=kept)
    progress.found(finding)
    await progress.reached("blobs")
    await progress.save()
    kept.close()
    await storage.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Of a registry with link files, and a blob."""
    data = tmp_path / "data"
    on_disk(data, paths.blob(DIGEST), CONTENT)
    path = tmp_path / "config.yml"
    path.write_text(
        json.dumps({"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(data)}}, "database": {}})
    )
    return path


class TestForPeople:
    def test_a_sound_registry_is_two_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        check_output.print_people(state(), seconds=1.25, repairs=False)
        assert capsys.readouterr().out.splitlines() == [
            "looked at 1,234 blobs (3.0 MiB) and 56 manifests, hashed 3.0 MiB in 1.2 s",
            "no differences",
        ]

    def test_what_is_no_difference_is_told_with_its_bytes(self, capsys: pytest.CaptureFixture[str]) -> None:
        made = state(verifies=False)
        made.tally.note(Note.AWAITING_REVIEW, 1024)
        check_output.print_people(made, seconds=1, repairs=False)
        looked, note, last = capsys.readouterr().out.splitlines()
        assert "hashed" not in looked
        assert note.startswith("1 (1.0 KiB): bytes that are being pushed")
        assert last == "no differences"

    def test_differences_are_a_table_by_kind_and_lines_and_the_way_on(self, capsys: pytest.CaptureFixture[str]) -> None:
        link = Finding(kind=FindingKind.TAG_DANGLING, subject="v1", repository="group/app")
        check_output.print_people(state(damaged(1), damaged(2), link), seconds=1, repairs=False)
        looked, *lines, last = capsys.readouterr().out.splitlines()
        assert looked.startswith("looked at")
        assert [re.split(" {2,}", line) for line in lines[:3]] == [
            ["DIFFERENCE", "COUNT", "BYTES", "REPAIRED", "WHAT IT IS"],
            ["digest-differs", "2", "4.0 KiB", "0", FindingKind.DIGEST_DIFFERS.meaning],
            ["tag-dangling", "1", "0 B", "0", FindingKind.TAG_DANGLING.meaning],
        ]
        assert lines[-3:] == [
            f"digest-differs: {damaged(1).subject} (2.0 KiB): other bytes",
            f"digest-differs: {damaged(2).subject} (2.0 KiB): other bytes",
            "tag-dangling: v1 in group/app (0 B)",
        ]
        assert last.startswith("nothing was changed: --repair")

    def test_a_repair_says_what_it_did(self, capsys: pytest.CaptureFixture[str]) -> None:
        check_output.print_people(state(damaged(repair="moved away")), seconds=1, repairs=True)
        said = capsys.readouterr().out
        assert said.endswith("other bytes -> moved away\n")
        assert "nothing was changed" not in said

    def test_a_name_that_is_no_text_or_steers_a_terminal_is_shown_escaped(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        finding = Finding(kind=FindingKind.LINK_INVALID, subject="tags/\x1b[2J", repository="\udcff\n\u00e4")
        check_output.print_people(state(finding), seconds=1, repairs=False)
        assert "link-invalid: tags/\\x1b[2J in \\udcff\\n\u00e4 (" in capsys.readouterr().out

    def test_of_many_differences_the_first_are_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        check_output.print_people(state(*map(damaged, range(1500))), seconds=1, repairs=True)
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == "and 1,480 more: --report FILE writes all of them"
        assert len(lines) < 30


def test_the_bar_shows_how_fast_this_run_is_whatever_earlier_ones_have_hashed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    now = 100.0
    tally = Tally(blobs=9, stored_bytes=1 << 40, hashed_bytes=1 << 40)
    with check_output.CheckBars(clock=lambda: now) as bars:
        bars.watch("blobs", 0.5, tally)
        now += 4.0
        tally.hashed_bytes += 40 << 20
        bars.watch("blobs", 0.6, tally)
    assert "9 blobs, 1.0 TiB, 10.0 MiB/s" in capsys.readouterr().err


def test_scripts_get_counts_by_kind_and_the_differences(capsys: pytest.CaptureFixture[str]) -> None:
    check_output.print_json(state(damaged(repair="moved away")), seconds=1.5, repairs=True)
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["differences"] == {"digest-differs": {"count": 1, "bytes": 2048, "repaired": 1}}
    assert found["first"][0]["repair"] == "moved away"
    assert (found["started_at"], found["seconds"], found["repaired"]) == (BEGAN.isoformat(), 1.5, True)


class TestStatus:
    def test_is_0_where_nothing_is_wrong_also_with_nothing_there(self, config: Path, tmp_path: Path) -> None:
        assert checking.run(config, None, CheckWish(verifies=True), as_json=False) == NO_DIFFERENCES
        (tmp_path / "empty").mkdir()
        assert checking.run(None, tmp_path / "empty", CheckWish(), as_json=False) == NO_DIFFERENCES

    def test_is_1_with_a_difference_repaired_or_not_and_the_report_has_it(self, config: Path, tmp_path: Path) -> None:
        on_disk(tmp_path / "data", paths.blob(DIGEST), b"a glob")
        report = tmp_path / "report.jsonl"
        for repairs in (False, True):
            wanted = CheckWish(verifies=True, repairs=repairs, report=report)
            assert checking.run(config, None, wanted, as_json=False) == DIFFERENCES
            (line,) = report.read_text().splitlines()
            found = json.loads(line)
            assert (found["kind"], found["subject"]) == ("digest-differs", str(DIGEST))
            assert ("repair" in found) is repairs
        assert checking.run(config, None, CheckWish(verifies=True, report=report), as_json=False) == NO_DIFFERENCES
        assert report.read_text() == ""

    def test_is_2_for_a_report_that_is_not_the_one_of_the_check_that_goes_on(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        on_disk(tmp_path / "data", paths.blob(DIGEST), b"a glob")
        report, rotated = tmp_path / "report.jsonl", tmp_path / "report.jsonl.1"
        wanted = CheckWish(verifies=True, resumes=True, report=report)
        asyncio.run(ended(tmp_path / "data", report, damaged(1)))
        report.rename(rotated)
        report.touch()
        noted = (tmp_path / "data" / paths.CHECK.lstrip("/")).read_bytes()
        assert checking.run(config, None, wanted, as_json=False) == NOT_DONE
        said = capsys.readouterr().err
        assert said.startswith(f"error: {report} does not hold the ")
        assert report.read_bytes() == b""
        assert (tmp_path / "data" / paths.CHECK.lstrip("/")).read_bytes() == noted
        rotated.rename(report)
        assert checking.run(config, None, wanted, as_json=False) == DIFFERENCES
        assert [json.loads(line)["subject"] for line in report.read_text().splitlines()] == [
            damaged(1).subject,
            str(DIGEST),
        ]

    def test_is_2_for_a_folder_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert checking.run(None, tmp_path / "nowhere", CheckWish(), as_json=False) == NOT_DONE
        assert f"there is no folder {tmp_path / 'nowhere'}" in capsys.readouterr().err
        assert not (tmp_path / "nowhere").exists()

    def test_is_2_for_a_report_that_cannot_be_written(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert checking.run(config, None, CheckWish(report=tmp_path / "no" / "report"), as_json=False) == NOT_DONE
        assert capsys.readouterr().err.startswith("error: ")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"storage": {"inmemory": {}}}, "cannot be checked from outside"),
            ({"database": {"enabled": True, "sqlite": "/nowhere.db"}}, "there is no /nowhere.db"),
        ],
    )
    def test_is_2_where_there_is_nothing_to_compare(
        self, changes: dict[str, object], message: str, config: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config.write_text(json.dumps(json.loads(config.read_text()) | changes))
        assert checking.run(config, None, CheckWish(), as_json=False) == NOT_DONE
        assert message in capsys.readouterr().err

    def test_is_2_for_link_files_where_the_images_are_in_a_database_and_the_other_way_round(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lock = on_disk(tmp_path / "data", paths.lock_file("database-in-use"), b"")
        assert checking.run(config, None, CheckWish(repairs=True), as_json=False) == NOT_DONE
        assert "its images are in a database" in capsys.readouterr().err
        lock.rename(lock.with_name("filesystem-in-use"))
        sqlite = {"database": {"enabled": True, "sqlite": str(tmp_path / "new.db")}}
        config.write_text(json.dumps(json.loads(config.read_text()) | sqlite))
        assert checking.run(config, None, CheckWish(repairs=True), as_json=False) == NOT_DONE
        assert "its images are in link files" in capsys.readouterr().err

    def test_is_2_for_a_schema_that_is_too_old(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "empty.db"
        path.touch()
        sqlite = {"database": {"enabled": True, "sqlite": str(path)}}
        config.write_text(json.dumps(json.loads(config.read_text()) | sqlite))
        assert checking.run(config, None, CheckWish(repairs=True), as_json=False) == NOT_DONE
        assert "pending database migrations" in capsys.readouterr().err

    def test_is_2_for_a_server_that_does_not_answer(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        nowhere = {"enabled": True, "host": "127.0.0.1", "port": 1, "dbname": "registry", "connecttimeout": "1s"}
        config.write_text(json.dumps(json.loads(config.read_text()) | {"database": nowhere}))
        assert checking.run(config, None, CheckWish(), as_json=False) == NOT_DONE
        assert capsys.readouterr().err.startswith("error: ")

    def test_is_2_for_a_database_that_is_not_named(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config.write_text(json.dumps(json.loads(config.read_text()) | {"database": {"enabled": True}}))
        assert checking.run(config, None, CheckWish(), as_json=False) == NOT_DONE
        assert "database" in capsys.readouterr().err

    def test_is_2_for_an_option_that_says_nothing(self, config: Path) -> None:
        runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
        for rate in ("fast", "0", "-1", "5 parsecs"):
            done = runner.invoke(app, ["check", "--rate", rate, str(config)])
            assert done.exit_code == NOT_DONE
        for rate in ("50MiB", "1.5GB/s", "100000", "64k"):
            assert runner.invoke(app, ["check", "--rate", rate, str(config)]).exit_code == NO_DIFFERENCES
