"""Answers without typer: the same as with it, and nothing is imported for them."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from moorage import cli
from moorage.cli.app import app
from moorage.cli.quick_answers import quick_answer

ANSWERED = ["--help", "-h", "version", "--version", "-v"]
DEAR = ["typer", "re", "dataclasses", "json", "shutil"]


def by_typer(word: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    app([word], prog_name="moorage", standalone_mode=False)
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", ["80", "200"])
@pytest.mark.parametrize("word", ANSWERED)
def test_the_answer_is_the_one_that_typer_gives(
    word: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/moorage", word])
    cli.main()
    assert capsys.readouterr().out == by_typer(word, capsys)


@pytest.mark.parametrize("environ", [{}, {"COLUMNS": "80"}])
@pytest.mark.parametrize("word", ANSWERED)
def test_nothing_dear_is_imported_for_it(word: str, environ: Mapping[str, str]) -> None:
    program = f"""
import sys
sys.argv = ["moorage", {word!r}]
before = set(sys.modules)
from moorage.cli import main
main()
print(*[name for name in {DEAR!r} if name in sys.modules and name not in before], file=sys.stderr)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=dict(environ))
    assert done.stderr.split() == []
    assert "moorage" in done.stdout


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["moorage"], {}),
        (["moorage", "serve"], {}),
        (["moorage", "version", "--json"], {}),
        (["moorage", "--help", "serve"], {}),
        (["moorage", "--help"], {"COLUMNS": "60"}),
        (["moorage", "--help"], {"COLUMNS": "wide"}),
        (["moorage", "--help"], {"_MOORAGE_COMPLETE": "complete_bash"}),
        (["/somewhere/moorage/__main__.py", "--help"], {}),
        (["registry", "--help"], {}),
    ],
)
def test_whatever_would_look_otherwise_is_left_to_typer(words: Sequence[str], environ: Mapping[str, str]) -> None:
    assert quick_answer(words, environ) is None
