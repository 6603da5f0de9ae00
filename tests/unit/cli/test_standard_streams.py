"""Standard streams that are closed, full or read by nobody end no command in a traceback, or in success."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.cli.standard_streams import run_with_streams

NOBODY = "http://127.0.0.1:1"
COMMANDS = [
    ["moorage", "version"],
    ["moorage", "version", "--json"],
    ["moorage", "repo", "--help"],
    ["moorage", "user", "list", "users"],
    ["registry", "--help"],
    ["moorage-ctl", "--help"],
]
FULL = Path("/dev/full")


def program(*words: str) -> list[str]:
    names = {
        "moorage": "moorage.cli",
        "registry": "moorage.cli.gitlab_registry",
        "moorage-ctl": "moorage.cli.moorage_ctl",
    }
    script = f"import sys; sys.argv = {list(words)!r}; from {names[words[0]]} import main; main()"
    return [sys.executable, "-c", script]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users").write_text("ada:x\n")


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": request.param}


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_output_that_cannot_be_written_is_a_mistake(words: list[str], environment: dict[str, str]) -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            program(*words), stdout=full, stderr=subprocess.PIPE, env=environment, check=False, timeout=60
        )
    said = b"error: what was to be printed cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_output_that_nobody_reads_any_more_ends_quietly(words: list[str], environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            program(*words), stdout=writing, stderr=subprocess.PIPE, env=environment, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def shell(redirection: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *program(*words)], capture_output=True, check=False, timeout=60
    )


def test_with_standard_error_closed_no_error_is_on_standard_output() -> None:
    done = shell("2>&-", "moorage", "repo", "list", NOBODY, "--json")
    assert (done.returncode, done.stdout) == (1, b"")


def test_closed_streams_are_no_traceback() -> None:
    done = shell(">&-", "moorage", "database", "migrate", "status", "--data", ".")
    assert b"Traceback" not in done.stderr
    done = shell("<&-", "moorage", "login", NOBODY, "-u", "ada", "--password-stdin")
    assert done.returncode == 2
    assert b"the password is empty" in done.stderr
    done = shell("<&-", "moorage", "login", NOBODY, "-u", "ada")
    assert b"there is nobody to ask for a password" in done.stderr


def test_ctrl_c_before_a_command_has_begun_is_no_traceback() -> None:
    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(SystemExit) as ended:
        run_with_streams(interrupted)
    assert ended.value.code == 130
