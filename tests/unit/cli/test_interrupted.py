"""Ctrl-C has one status in every command: a script tells what a person ended from what failed."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app

CONFIG = "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: data\n"
LINKS = f"{CONFIG}database:\n  enabled: false\n"
SYNC = "sync:\n- {source: 'http://127.0.0.1:1/app', target: 'http://127.0.0.1:1/other'}\n"
COMMANDS = [
    "check config.yml",
    "storage copy config.yml to.yml",
    "storage compare config.yml to.yml",
    "backup make copies --data .",
    "copy http://127.0.0.1:1/app http://127.0.0.1:1/other",
    "sync sync.yml",
    "database import config.yml",
    "database export config.yml",
    "database migrate up --data data",
    "garbage-collect links.yml",
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for name, text in {"config.yml": CONFIG, "to.yml": CONFIG, "links.yml": LINKS, "sync.yml": SYNC}.items():
        Path(name).write_text(text.replace(" data\n", " other\n") if name == "to.yml" else text)


@pytest.mark.parametrize("words", COMMANDS)
def test_ctrl_c_at_work_has_the_status_of_a_shell(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(work: Coroutine[object, object, object], **_: object) -> None:
        work.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 130, done.output
