"""Options as Go's pflag reads them, and a usage as cobra prints it. Source: pflag 1.0.10, cobra 1.10.1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from moorage.cli.go_bools import read_bool


class FlagMistake(Exception):
    """The options make no sense; the text is pflag's."""


@dataclass(frozen=True, slots=True)
class CommandFlag:
    """An option of a command."""

    name: str
    short: str
    """One letter; empty: it has none."""
    about: str
    kind: Literal["bool", "int", "string"] = "bool"

    @property
    def names(self) -> str:
        """Both names, as they are shown."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    def checked(self, value: str) -> str:
        """Return a value as it is passed on.

        Raises:
            FlagMistake: it is of another kind.
        """
        if self.kind == "bool":
            found = read_bool(value)
            if found is not None:
                return str(found).lower()
        elif self.kind == "string" or value.removeprefix("-").removeprefix("+").isdecimal():
            return value
        function = "ParseBool" if self.kind == "bool" else "Atoi"
        msg = (
            f'invalid argument "{value}" for "{self.names}" flag: strconv.{function}: parsing "{value}": invalid syntax'
        )
        raise FlagMistake(msg)


@dataclass(slots=True)
class ParsedFlags:
    """Parsed words of a command line: options by their names, and the other words."""

    values: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


def parse_flags(words: Sequence[str], flags: Sequence[CommandFlag]) -> ParsedFlags:
    """Read options, which may stand before and behind the other words.

    Raises:
        FlagMistake: one is unknown, or its value makes no sense.
    """
    parsed, waiting = ParsedFlags(), iter(words)
    for word in waiting:
        if word == "--":
            parsed.rest += waiting
        elif word.startswith("--"):
            _take_long(word, flags, parsed, waiting)
        elif word.startswith("-") and word != "-":
            _take_short(word, flags, parsed, waiting)
        else:
            parsed.rest.append(word)
    return parsed


def usage_of(name: str, commands: Sequence[tuple[str, str]], flags: Sequence[CommandFlag]) -> str:
    """The usage of a command."""
    lines = ["Usage:", f"  {name} [command]" if commands else f"  {name} <config> [flags]"]
    if commands:
        width = max(len(command) for command, _ in commands)
        lines += ["", "Available Commands:", *(f"  {command:<{width}}  {about}" for command, about in commands)]
    shown = [
        (f"{'' if flag.short else '    '}{flag.names}{'' if flag.kind == 'bool' else f' {flag.kind}'}", flag.about)
        for flag in flags
    ]
    width = max(len(names) for names, _ in shown)
    lines += ["", "Flags:", *(f"  {names:<{width}}   {about}" for names, about in shown)]
    if commands:
        lines += ["", f'Use "{name} [command] --help" for more about a command.']
    return "\n".join(lines)


def _take_long(word: str, flags: Sequence[CommandFlag], parsed: ParsedFlags, waiting: Iterator[str]) -> None:
    name, equals, value = word[2:].partition("=")
    flag = next((flag for flag in flags if flag.name == name), None)
    if flag is None:
        msg = f"unknown flag: --{name}"
        raise FlagMistake(msg)
    if not equals:
        value = "true" if flag.kind == "bool" else _next(waiting, f"--{name}")
    parsed.values[name] = flag.checked(value)


def _take_short(word: str, flags: Sequence[CommandFlag], parsed: ParsedFlags, waiting: Iterator[str]) -> None:
    """Several letters may share a dash; behind one that takes a value, the rest is it."""
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = next((flag for flag in flags if flag.short == letter), None)
        if flag is None:
            msg = f"unknown shorthand flag: '{letter}' in {word}"
            raise FlagMistake(msg)
        if letters.startswith("="):
            value, letters = letters[1:], ""
        elif flag.kind == "bool":
            value = "true"
        else:
            value, letters = letters or _next(waiting, f"'{letter}' in {word}"), ""
        parsed.values[flag.name] = flag.checked(value)


def _next(waiting: Iterator[str], name: str) -> str:
    try:
        return next(waiting)
    except StopIteration:
        msg = f"flag needs an argument: {name}"
        raise FlagMistake(msg) from None
