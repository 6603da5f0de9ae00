"""Imports of commands: what is dear and not needed is not there."""

import subprocess
import sys

import pytest

REMOTE = ["structlog", "pydantic", "aiohttp", "rich", "uvloop", "joserfc"]


def imported(program: str, *, of: list[str]) -> set[str]:
    """The packages among *of* that a program has imported when it ends."""
    ending = f"\nimport sys\nprint(*[name for name in {of!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program + ending], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["copy", "gc", "history", "listing", "login", "sync"])
def test_a_command_that_asks_a_registry_imports_nothing_that_a_server_needs(module: str) -> None:
    assert imported(f"import moorage.cli.app, moorage.cli.{module}", of=REMOTE) == set()


def test_a_list_of_tags_imports_nothing_of_their_history() -> None:
    program = """
import sys
from moorage.cli import main
sys.argv = ["moorage", "tag", "list", "127.0.0.1:1/group/app"]
try:
    main()
except SystemExit:
    pass
"""
    names = ["moorage.cli.listing", "moorage.cli.history", "moorage.cli.deleting", "moorage.api.history_answers"]
    assert imported(program, of=names) == {"moorage.cli.listing"}


def test_a_copy_between_registries_imports_no_models_of_a_configuration() -> None:
    assert "pydantic" not in imported("import moorage.cli.copy_runs, moorage.cli.sync_runs", of=REMOTE)


def test_a_registry_without_tokens_starts_without_their_code_and_without_colours() -> None:
    program = """
from pathlib import Path
from moorage.cli.serve import serve
from moorage.errors import ConfigurationError
try:
    serve(Path("there/is/none"))
except ConfigurationError:
    import structlog
"""
    assert imported(program, of=["joserfc", "rich", "pygments", "prometheus_client", "acme", "structlog"]) == {
        "structlog"
    }
