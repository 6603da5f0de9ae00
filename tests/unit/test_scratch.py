"""The scratch folder of a run: where it is, and that nothing of it stays."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.scratch import FAILURES, SCRATCH, RunFolder, place_for_scratch

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _this_run_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())


@pytest.mark.parametrize(
    ("free_bytes", "named", "chosen"),
    [(16 << 30, None, "memory"), (64 << 20, None, "as before"), (16 << 30, "elsewhere", "elsewhere")],
    ids=["enough", "too-little", "named"],
)
def test_it_is_in_memory_only_where_that_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, free_bytes: int, named: str | None, chosen: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "as before"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    monkeypatch.setattr("support.scratch.available_bytes", lambda: 16 << 30)
    (tmp_path / "memory").mkdir()
    environ = {} if named is None else {SCRATCH: str(tmp_path / named)}
    assert place_for_scratch(environ, memory=tmp_path / "memory") == tmp_path / chosen


def test_what_a_run_has_left_in_memory_goes_before_it_is_asked_whether_that_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = RunFolder(tmp_path)
    failed.end(keep=True)
    monkeypatch.setattr("support.scratch.available_bytes", lambda: 0 if failed.path.exists() else 16 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=16 << 30))
    assert place_for_scratch({}, memory=tmp_path) == tmp_path


def test_all_that_a_run_makes_lies_below_it_and_goes_with_it(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    run = RunFolder(tmp_path)
    run.use(environ)
    made = Path(tempfile.mkdtemp())
    assert made.parent == run.path
    assert set(environ.values()) == {str(run.path)}
    run.end(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_what_failed_stays_until_the_next_run_begins(tmp_path: Path) -> None:
    failed = RunFolder(tmp_path)
    failed.end(keep=True)
    assert failed.path.is_dir()
    following = RunFolder(tmp_path)
    assert list(tmp_path.iterdir()) == [following.path]
    following.end(keep=False)


def test_a_run_that_was_killed_leaves_nothing_to_the_next_but_one(tmp_path: Path) -> None:
    begin = "import os, signal, sys; from pathlib import Path; from support.scratch import RunFolder; "
    killed = "run = RunFolder(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run(
        [sys.executable, "-c", begin + killed, tmp_path],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")},
        check=False,
        timeout=60,
    )
    assert len(list(tmp_path.iterdir())) == 1
    RunFolder(tmp_path).end(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_at_work_loses_nothing_to_another_and_nobody_elses_folder_goes(tmp_path: Path) -> None:
    (tmp_path / "moorage-data").mkdir()
    at_work = RunFolder(tmp_path)
    RunFolder(tmp_path).end(keep=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["moorage-data", at_work.path.name])
    at_work.end(keep=False)


A_TEST = """\
import tempfile


def test_leaves_a_folder(tmp_path):
    assert {outcome}, tempfile.mkdtemp() + str(tmp_path)
"""


A_TEST_THAT_ENDS_ALL = """\
import os
import signal


def test_ends_all():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_pytest(folder: Path, processes: str, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run files of *tests*, in their order, with what this repository sets up."""
    (folder / "scratch").mkdir()
    room = folder / "tests" / "unit"
    room.mkdir(parents=True)
    for number, text in enumerate(tests):
        (room / f"test_{number}.py").write_text(text)
    shutil.copy(REPOSITORY / "tests" / "conftest.py", folder / "tests")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", processes, "-p", "no:cacheprovider", "--rootdir", folder, room],
        env={**os.environ, SCRATCH: str(folder / "scratch"), "PYTHONPATH": str(REPOSITORY / "tests")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.parametrize(("outcome", "processes"), [("True", "2"), ("False", "2"), ("True", "0")])
def test_a_run_of_pytest_leaves_its_folder_only_if_a_test_failed(tmp_path: Path, outcome: str, processes: str) -> None:
    """With processes that share the tests, and without: each makes folders as tests are loaded, and in tests."""
    ended = run_pytest(tmp_path, processes, A_TEST.format(outcome=outcome))
    assert f"1 {'passed' if outcome == 'True' else 'failed'}" in ended.stdout, ended.stdout + ended.stderr
    left = [str(path) for path in (tmp_path / "scratch").iterdir()]
    assert left == re.findall(r"Until the next run begins, (\S+) has", ended.stdout)
    assert len(left) == (outcome == "False")
    for folder in left:
        assert "test_leaves_a_folder (call)" in (told := Path(folder, FAILURES).read_text())
        assert told.count("E       assert False") == 1


def test_a_run_that_is_cut_off_has_told_what_had_failed_by_then(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, "0", A_TEST.format(outcome="'x' * 999 == ''"), A_TEST_THAT_ENDS_ALL)
    assert ended.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "scratch").iterdir()
    assert "x" * 999 in (left / FAILURES).read_text()


def test_what_failed_under_load_is_kept_from_the_next_run(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(REPOSITORY / "scripts" / "run-under-load", scripts)
    (tmp_path / "run").write_text(
        "mkdir left\necho Until the next run begins, $PWD/left has what tests have left\nfalse\n"
    )
    ended = subprocess.run(
        [scripts / "run-under-load", "2", "1", "sh", tmp_path / "run"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    kept = tmp_path / "build" / "under-load"
    assert sorted(path.name for path in kept.iterdir()) == ["1", "1.log", "2", "2.log"]
