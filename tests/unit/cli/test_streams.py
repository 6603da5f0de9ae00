"""Results and verdicts go to standard output; progress, questions, warnings, logs and errors to standard error."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from moorage import cli

NOBODY = "http://127.0.0.1:1"
REMOTE = [
    "repo list",
    "tag list group/app",
    "tag history group/app",
    "tag undo group/app:1",
    "tag delete group/app 1",
    "image show group/app:1",
    "du group/app",
    "undo 3f9a6c1e",
    "gc status",
    "gc run",
    "gc explain group/app:1",
]


class Said(NamedTuple):
    """How a command ended."""

    status: object
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOORAGE_REGISTRY", NOBODY)

    def ran(*words: str, answer: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["moorage", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answer.encode())))
        status: object = 0
        try:
            cli.main()
        except SystemExit as exc:
            status = exc.code or 0
        return Said(status, *capsys.readouterr())

    return ran


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    path = tmp_path / "config.yml"
    path.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}\n"
        f"http: {{addr: '127.0.0.1:0'}}\nhtpp: 1\n"
    )
    return path


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["config", "check", "CONFIG"], "the configuration is good\n"),
        (["check", "CONFIG"], "no differences\n"),
        (["garbage-collect", "CONFIG"], "repositories  0\n"),
        (["database", "migrate", "up", "--data", "data"], "OK: applied "),
        (["database", "migrate", "status", "--data", "data"], "pre-deployment"),
        (["database", "migrate", "version", "--data", "data"], "pre-deployment:"),
        (["background-migrate", "status", "--data", "data"], "STATUS"),
        (["background-migrate", "run", "--data", "data"], "OK: finished"),
        (["background-migrate", "pause", "--data", "data"], "nothing to be paused"),
        (["user", "list", "htpasswd"], "ada\n"),
        (["user", "add", "htpasswd", "bob", "--password-stdin"], "bob is added\n"),
        (["version"], "moorage "),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_a_good_verdict_is_on_standard_output_and_nothing_else_is(
    run: Run, config: Path, words: Sequence[str], verdict: str
) -> None:
    (config.parent / "htpasswd").write_text("ada:x\n")
    if words[0] == "background-migrate" or words[2:3] in (["status"], ["version"]):
        run("database", "migrate", "up", "--data", "data")
    said = run(*(str(config) if word == "CONFIG" else word for word in words), answer="secret\n")
    assert (said.status, verdict in said.out) == (0, True), said
    assert "warning" not in said.out
    assert "Traceback" not in said.err
    if words[0] == "config":
        assert said == Said(0, verdict, "warning: htpp: unknown key, ignored; did you mean http?\n")


@pytest.mark.parametrize(
    "words",
    [
        *(text.split() for text in REMOTE),
        ["check", "--data", "nowhere"],
        ["check", "--data", "data", "--report", "nowhere/report"],
        ["database", "migrate", "up", "nowhere.yml"],
        ["background-migrate", "status", "nowhere.yml"],
        ["garbage-collect", "nowhere.yml"],
        ["serve", "nowhere.yml"],
        ["token", "explain", "nowhere.yml", "ada", "repository:a/b:pull"],
        ["user", "list", "nowhere"],
        ["user", "remove", "nowhere", "ada"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("config")
def test_an_error_is_on_standard_error_and_the_status_says_so(run: Run, words: Sequence[str]) -> None:
    said = run(*words)
    assert said.status not in (0, None), said
    assert said.out == ""
    assert said.err.startswith("error: "), said.err


def test_a_bad_verdict_is_one_too_and_the_status_says_so(run: Run, config: Path) -> None:
    config.write_text("storage: inmemory\n")
    said = run("config", "check", str(config))
    assert (said.status, said.out) == (1, "the configuration cannot be used\n")
    assert said.err.startswith("error: version: is needed")
    (config.parent / "data/docker/registry/v2/blobs/sha256/aa" / ("a" * 64)).mkdir(parents=True)
    (config.parent / "data/docker/registry/v2/blobs/sha256/aa" / ("a" * 64) / "data").write_bytes(b"other bytes")
    said = run("check", "--data", "data", "--verify-digests")
    assert (said.status, "digest" in said.out, said.err) == (1, True, "")
    said = run("check", "--data", "data", "--verify-digests", "--json")
    assert (said.status, json.loads(said.out)["ok"], said.err) == (1, False, "")


def test_a_question_is_no_result(run: Run) -> None:
    run("database", "migrate", "up", "--data", ".")
    said = run("database", "migrate", "down", "-n", "1", "--data", ".", answer="n\n")
    assert "Are you sure?" in said.err
    assert "Are you sure?" not in said.out


def test_a_log_that_nobody_set_up_is_no_result() -> None:
    # A process of its own: in this one, commands have set up a log.
    script = "from moorage.telemetry import get_log; get_log('streams').warning('something is odd')"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert (said.stdout, "something is odd" in said.stderr) == ("", True)
