"""Errands of a start: done in a process of their own, and told by their failures."""

import os
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError, Mistake, MoorageError
from moorage.server.errand import Errand


def test_an_errand_is_done_in_another_process(tmp_path: Path) -> None:
    written = tmp_path / "pid"

    Errand(lambda: written.write_text(str(os.getpid()))).wait()

    assert written.read_text() not in ("", str(os.getpid()))


def test_the_mistakes_that_an_errand_finds_are_all_told() -> None:
    def fail() -> None:
        raise ConfigurationError([Mistake("database", "is gone"), Mistake("secret", "is short")], ["odd"])

    with pytest.raises(ConfigurationError) as caught:
        Errand(fail).wait()

    assert [mistake.path for mistake in caught.value.mistakes] == ["database", "secret"]
    assert caught.value.warnings == ("odd",)


def test_a_file_that_an_errand_cannot_write_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Errand(lambda: (tmp_path / "none" / "file").write_text("")).wait()

    assert caught.value.filename == str(tmp_path / "none" / "file")


def test_an_errand_that_crashes_shows_where_and_stops_the_start(capfd: pytest.CaptureFixture[str]) -> None:
    def crash() -> None:
        raise LookupError(1)

    with pytest.raises(MoorageError, match="status 1"):
        Errand(crash).wait()

    assert "LookupError: 1" in capfd.readouterr().err
