"""``moorage serve`` without typer: the usual command lines mean the same, and all others are left to it."""

import pytest
import typer

from moorage.cli.app import app
from moorage.cli.quick_serve import usual_options
from moorage.starting import serving
from moorage.starting.serving import ServeOptions

USUAL = [
    "",
    "config.yml",
    "config.yml --workers 2",
    "--addr 127.0.0.1:5000 --data=there --workers=256",
    "--data there config.yml --addr=:5000",
]
OTHER = [
    "--help",
    "-h",
    "--workers 0",
    "--workers 257",
    "--workers two",
    "--workers",
    "--addr= config.yml",
    "--addr --data",
    "--data one --data two",
    "one.yml two.yml",
    "--",
    "--unknown 1",
    "-",
]


@pytest.mark.parametrize("line", USUAL)
def test_a_usual_command_line_means_what_it_means_to_typer(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ServeOptions] = []

    def noted(options: ServeOptions, say: object) -> int:
        del say
        asked.append(options)
        return 0

    monkeypatch.setattr(serving, "serve_registry", noted)
    typer.main.get_command(app).main(["serve", *line.split()], "moorage", standalone_mode=False)
    assert asked == [usual_options(["moorage", "serve", *line.split()], {})]


@pytest.mark.parametrize("line", OTHER)
def test_every_other_command_line_is_left_to_typer(line: str) -> None:
    assert usual_options(["moorage", "serve", *line.split()], {}) is None


def test_other_commands_and_completion_are_left_to_typer() -> None:
    assert usual_options(["moorage", "check", "config.yml"], {}) is None
    assert usual_options(["moorage", "serve"], {"_MOORAGE_COMPLETE": "complete_bash"}) is None
