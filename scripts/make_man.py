"""Write the man page ``moorage.1`` from the command line, to the folder that is named."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import typer
from cli_reference import Command, commands_of, usage_of
from typer.core import TyperArgument, TyperOption

from moorage import __version__
from moorage.cli.app import app as cli
from moorage.cli.lazy_group import LazyGroup

_FILES = (
    ("/etc/moorage/config.yml", "The registry's configuration."),
    ("/etc/moorage/control.yml", "The configuration of the control plane."),
    ("/var/lib/moorage", "Images and databases."),
)


def man_page() -> str:
    """Return the whole page in troff's language."""
    tree = cast("LazyGroup", typer.main.get_command(cli)).load_all()
    lines = [
        f'.TH MOORAGE 1 "" "moorage {__version__}" "Moorage"',
        ".SH NAME",
        "moorage \\- a container registry",
        ".SH SYNOPSIS",
        ".B moorage",
        "COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH COMMANDS",
        *(line for name, command in commands_of("moorage", tree) for line in _section(name, command)),
        ".SH EXIT STATUS",
        "0 if all went well, 1 after a mistake that is printed, 2 for a command line that makes no sense.",
        ".SH FILES",
        *(line for path, words in _FILES for line in (".TP", f".I {_shown(path)}", _shown(words))),
    ]
    return "\n".join(lines) + "\n"


def _section(name: str, command: Command) -> Iterator[str]:
    yield f".SS {_shown(usage_of(name, command))}"
    yield _shown(" ".join((command.help or "").split()))
    for found in command.params:
        if isinstance(found, TyperOption | TyperArgument) and not getattr(found, "hidden", False):
            names = ", ".join(found.opts) if isinstance(found, TyperOption) else str(found.metavar or found.name)
            yield ".TP"
            yield f".B {_shown(names)}"
            yield _shown(found.help or "")
    if command.epilog:
        yield ".PP"
        yield _shown(f"Example: {command.epilog.splitlines()[-1].strip()}")


def _shown(text: str) -> str:
    """*text* in which nothing is taken for a request of troff."""
    found = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{found}" if found.startswith((".", "'")) else found


if __name__ == "__main__":
    (Path(sys.argv[1]) / "moorage.1").write_text(man_page(), encoding="utf-8")
