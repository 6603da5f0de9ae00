"""The administration guide: it has the chapters of GitLab's, and every command in it is one that there is."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from moorage.cli.app import app

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide" / "administration.md"
OTHERS = [ROOT / "docs" / "how-to" / "back-up-and-restore.md"]

CHAPTERS = """\
Enable the container registry
Linux package installations
Helm Charts installations
Self-compiled installations
Container registry domain configuration
Configure container registry under an existing GitLab domain
Configure container registry under its own domain
Disable container registry site-wide
Disable container registry for new projects site-wide
Increase token duration
Configure storage for the container registry
Use file system
Use object storage
Migrate to object storage without downtime
Moving to Azure Object Storage
Disable redirect for storage driver
Storage limitations
Change the registry's internal port
Disable container registry per project
Use an external container registry with GitLab as an auth endpoint
Configure container registry notifications
Run the Cleanup policy now
Registry Disk Space Usage by Project
Container registry metadata database
Container registry garbage collection
Understanding the content-addressable layers
Remove unreferenced layers
Removing untagged manifests and unreferenced layers
Performing garbage collection without downtime
Running the garbage collection on schedule
Stop garbage collection
Continuous zero-downtime garbage collection
Scaling by component
Database
Registry server
Redis Cache
Storage
Online garbage collection
Configure Registry
Configure GitLab
Architecture of GitLab container registry
Communication between GitLab and Registry
Migrate from a third-party registry
Docker Distribution Registry
Max retries for deleting container images
""".splitlines()

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^##+ (.*)$", re.MULTILINE)


def commands_of(page: Path) -> list[str]:
    return [line for block in _BLOCK.findall(page.read_text()) for line in block.splitlines() if line]


def test_the_chapters_are_those_of_gitlab_s_guide_in_its_order() -> None:
    assert [heading for heading in _HEADING.findall(GUIDE.read_text()) if heading in CHAPTERS] == CHAPTERS


@pytest.mark.parametrize("line", [line for page in (GUIDE, *OTHERS) for line in commands_of(page)])
def test_a_command_of_a_page_is_one_that_there_is(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "moorage"
    command = typer.main.get_command(app)
    context = command.make_context("moorage", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        _, command, left = command.resolve_command(context, rest)
        context = command.make_context(command.name, left, parent=context)
    assert context.params
