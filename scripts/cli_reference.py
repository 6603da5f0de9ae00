"""Page of the command line, and what ``moorage --help`` prints."""

import re
from collections.abc import Iterator
from typing import cast

import typer
from reference_text import Row, page, sentence, table
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from moorage.cli.app import app as cli
from moorage.cli.lazy_group import LazyGroup
from moorage.cli.quick_answers import HELP_WIDTH

Command = TyperCommand | TyperGroup


def cli_page() -> str:
    """Every command with its arguments and options."""
    lines = ["# Command line", "", "`python -m moorage` is the same as `moorage`."]
    for name, command in commands_of("moorage", cast("LazyGroup", typer.main.get_command(cli)).load_all()):
        lines += [
            "",
            f"## {name}",
            "",
            sentence(command.help or ""),
            "",
            "```text",
            usage_of(name, command),
            "```",
            "",
        ]
        lines += table(("argument or option", "what it is"), _parameters(command))
        if command.epilog:
            lines += ["", "Example:", "", "```sh", command.epilog.splitlines()[-1].strip(), "```"]
    lines += ["", "The status is 0 if all went well, 1 after a mistake that is printed as `error: …`, 2 for a command"]
    lines += ["line that makes no sense."]
    return page(lines)


def help_text() -> str:
    """What ``moorage --help`` prints without asking typer."""
    group = typer.main.get_command(cli)
    return f"{group.get_help(group.make_context('moorage', ['version'], terminal_width=HELP_WIDTH))}\n"


def commands_of(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    """Yield a command and all below it, each with its whole name."""
    yield name, command
    if isinstance(command, TyperGroup):
        for sub, found in command.commands.items():
            if isinstance(found, TyperGroup | TyperCommand):
                yield from commands_of(f"{name} {sub}", found)


def usage_of(name: str, command: Command) -> str:
    """Return the line of a command with what it takes."""
    arguments = [str(found.metavar) for found in command.params if isinstance(found, TyperArgument)]
    return " ".join([name, "[OPTIONS]", *arguments, *(["COMMAND …"] if isinstance(command, TyperGroup) else [])])


def _parameters(command: Command) -> Iterator[Row]:
    for found in command.params:
        if isinstance(found, TyperArgument):
            # An argument that may be left out stands in brackets; REPO[:TAG] has some of its own.
            name = re.sub(r"^\[(\w+)\]", r"\1", str(found.metavar))
            yield f"`{name}`", sentence(found.help or "")
        elif isinstance(found, TyperOption):
            names = ", ".join(f"`{name}`" for name in sorted(found.opts, key=len, reverse=True))
            value = "" if found.is_flag else f" `{found.metavar}`"
            yield f"{names}{value}", sentence(found.help or "") + _bounds(found) + _variable(found)
    yield "`--help`, `-h`", "Print what this page says."


def _bounds(option: TyperOption) -> str:
    least, most = getattr(option.type, "min", None), getattr(option.type, "max", None)
    if least is None:
        return ""
    return f" From {least} to {most}." if most is not None else f" At least {least}."


def _variable(option: TyperOption) -> str:
    default = f", else `{option.default}`" if option.envvar and isinstance(option.default, str) else ""
    return f" If not given: `{option.envvar}` of the environment{default}." if option.envvar else ""
