"""``moorage control serve`` without typer: the usual command lines mean the same, and all others are left to it."""

from pathlib import Path

import pytest
import typer

from moorage.cli import control, control_serving
from moorage.cli.app import app
from moorage.cli.control_serving import is_usual, quick_control_serve


@pytest.mark.parametrize("line", ["", "there/control.yml"])
def test_a_usual_command_line_means_what_it_means_to_typer(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path | None] = []

    def noted(config: Path | None) -> int:
        asked.append(config)
        return 7

    for module in (control, control_serving):
        monkeypatch.setattr(module, "serve_control", noted)
    words = ["control", "serve", *line.split()]
    assert typer.main.get_command(app).main(words, "moorage", standalone_mode=False) == 7
    with pytest.raises(SystemExit) as ended:
        quick_control_serve(["moorage", *words])
    assert ended.value.code == 7
    assert asked == [Path(line) if line else None] * 2


@pytest.mark.parametrize("words", ["serve --help", "serve one two", "serve --config x", "serve -", "check", ""])
def test_every_other_command_line_is_left_to_typer(words: str) -> None:
    assert not is_usual(["moorage", "control", *words.split()], {})


def test_an_empty_name_and_completion_are_left_to_typer() -> None:
    assert not is_usual(["moorage", "control", "serve", ""], {})
    assert not is_usual(["moorage", "control", "serve"], {"_MOORAGE_COMPLETE": "complete_bash"})
