"""Group of commands that imports a command when it is called, and lists all of them without importing any."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperArgument, TyperGroup

from moorage.cli.command_table import COMMANDS, NOTES, CommandRow
from moorage.cli.go_flags import GoFlagsCommand


class LazyGroup(TyperGroup):
    """The commands of :mod:`moorage.cli.command_table`, or those of a group in it."""

    words: ClassVar[str] = ""
    """The group's own name; empty: it is ``moorage`` itself."""
    rows: ClassVar[Mapping[str, Sequence[CommandRow]]] = COMMANDS
    """Its commands, by the heading that they are listed under."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002, ANN401 - typer's signature; its Context is private
        """Return the names, in the order of the table."""
        return [row.name for rows in self.rows.values() for row in rows]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002, ANN401 - as above
        """Import a command; None if there is none of this name."""
        if cmd_name not in self.commands:
            for row in (row for rows in self.rows.values() for row in rows if row.name == cmd_name):
                self.commands[cmd_name] = _load(row, f"{self.words} {row.name}".strip())
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002, ANN401 - as above
        """Write the list of commands under its headings."""
        for heading, rows in self.rows.items():
            with formatter.section(heading):
                formatter.write_dl([(row.name, row.line) for row in rows])

    def load_all(self) -> "LazyGroup":
        """Import every command, for what looks at all of them: the reference page and its tests."""
        for name in self.list_commands(None):
            found = self.get_command(None, name)
            if isinstance(found, LazyGroup):
                found.load_all()
        return self


def _load(row: CommandRow, words: str) -> Any:  # noqa: ANN401 - typer's Command is private
    found = getattr(import_module(f"moorage.cli.{row.module}"), row.attribute)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
    else:
        single = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
        single.command(row.name, cls=GoFlagsCommand if row.takes_go_flags else None)(found)
        command = typer.main.get_command(single)
    command.name = row.name
    for each_words, each in _walk(words, command):
        for parameter in each.params:
            _show_plainly(parameter)
            if hasattr(parameter.type, "readable"):
                parameter.type.readable = False  # Our own message says which right is missing to whom.
        if each_words in NOTES:
            note = NOTES[each_words]
            each.short_help = note.line or each.short_help
            if note.example:
                # A paragraph that begins with this character is not wrapped.
                each.epilog = f"\b\nExample:\n  {note.example}"
    return command


def _show_plainly(parameter: Any) -> None:  # noqa: ANN401 - as above
    """Have help show what is to be typed by a word; typer has ``<int range>``, ``<str>`` and ``{NAME}``."""
    if parameter.type.name in {"int", "int range"}:
        parameter.metavar = "NUMBER"
    elif parameter.type.name == "str":
        parameter.metavar = parameter.metavar or "TEXT"
    if isinstance(parameter, TyperArgument) and parameter.required and parameter.metavar:
        word = parameter.metavar
        setattr(parameter, "make_metavar", lambda *_, **__: word)  # noqa: B010 - mypy lets no method be replaced


def _walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - as above
    yield words, command
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            yield from _walk(f"{words} {name}", each)
