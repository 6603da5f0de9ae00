"""Places of images: what a command makes nothing of is not passed over, as somebody meant it."""

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("tag", "list", "group/app:1"), "a tag"),
        (("tag", "list", f"group/app{DIGEST}"), "a digest"),
        (("tag", "delete", f"group/app:1{DIGEST}"), "a digest"),
        (("tag", "delete", f"group/app{DIGEST}", "1"), "a digest"),
        (("tag", "history", f"group/app{DIGEST}"), "a digest"),
        (("tag", "history", f"group/app:1{DIGEST}", "--at", "2h"), "a digest"),
        (("tag", "undo", f"group/app:1{DIGEST}"), "a digest"),
        (("du", "group/app:1"), "a tag"),
        (("du", f"registry.example/app{DIGEST}"), "a digest"),
        (("undo", "0123456789abcdef", "--repository", "group/app:1"), "a tag"),
    ],
)
def test_a_part_that_a_command_makes_nothing_of_is_refused(words: tuple[str, ...], named: str) -> None:
    ended = CliRunner().invoke(app, [*words])
    assert ended.exit_code == 1
    assert f"names {named}, which is not asked for here; give [HOST/]REPO" in ended.output
