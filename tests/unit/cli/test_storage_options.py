"""Options of times."""

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app


@pytest.mark.parametrize(
    "words",
    [
        ["garbage-collect", "nowhere.yml", "--force", "--grace", "-1h"],
        ["database", "import", "nowhere.yml", "--pre-import-skip-recent", "-1h"],
    ],
    ids=" ".join,
)
def test_a_time_that_is_less_than_nothing_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "-1h is less than nothing; write it as" in done.stderr
