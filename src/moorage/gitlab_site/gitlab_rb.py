"""``gitlab.rb``, read without running it: the assignments in it, and every line that is not one.

A line inside of ``if``, ``unless`` or another block has its value only under a condition, so that it is not taken.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from moorage.gitlab_site.ruby_literals import NotLiteral, RubyText, RubyValue

_NAME = re.compile(r"[a-z_]\w*")
_BLOCK = re.compile(r"(?:if|unless|case|while|until|for|begin|def|class|module)\b")
_DO = re.compile(r"\bdo\b[ \t]*(?:\|[^|\n]*\|)?[ \t]*(?:#[^\n]*)?$")
_END = re.compile(r"end\b")
_BEGINNING = re.compile(r"\w+(?:\[(?:'\w+'|\"\w+\")\])*")
_REST = re.compile(r"[^\n]*")
_THE_END = re.compile(r"^__END__$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RubyAssignment:
    """``name['key'] = value``, or ``name value``."""

    line: int
    name: str
    keys: tuple[str, ...]
    value: RubyValue = field(repr=False)
    """It may be a secret."""

    @property
    def shown(self) -> str:
        """The left side as people write it."""
        return self.name + "".join(f"['{key}']" for key in self.keys)


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A line whose meaning is not known; never its text, which may have a secret."""

    line: int
    about: str
    """The left side, or the first word."""
    reason: str


@dataclass(frozen=True, slots=True)
class GitLabRb:
    """All that a file says, in its order."""

    assignments: Sequence[RubyAssignment]
    not_understood: Sequence[NotUnderstood]


def read_gitlab_rb(text: str) -> GitLabRb:
    """Read the text of a ``gitlab.rb``; nothing in it is an error of ours."""
    if over := _THE_END.search(text):
        text = text[: over.start()]
    assignments: list[RubyAssignment] = []
    odd: list[NotUnderstood] = []
    for found in _statements(RubyText(text.removeprefix("\ufeff"))):
        if isinstance(found, RubyAssignment):
            assignments.append(found)
        else:
            odd.append(found)
    return GitLabRb(assignments, odd)


def _statements(text: RubyText) -> Iterator[RubyAssignment | NotUnderstood]:
    while True:
        text.skip(lines=True)
        if text.is_over:
            return
        if text.peek() == ";":
            text.place += 1
            continue
        yield from _block(text) if _opens(text) else [_statement(text)]


def _statement(text: RubyText) -> RubyAssignment | NotUnderstood:
    start, line, about = text.place, text.line, ""
    try:
        name, keys = _left_side(text)
        about = name + "".join(f"['{key}']" for key in keys)
        text.skip()
        if text.peek() == "=" and text.peek(2) not in ("==", "=~", "=>"):
            text.place += 1
            text.skip(lines=True)
            value = text.literal()
        elif keys:
            text.refuse("only = is understood after a setting")
        else:
            value = _argument(text)
        if not text.end_line():
            text.refuse("more than a literal stands there, and Ruby is not run")
    except NotLiteral as exc:
        _go_on(text, start)
        return NotUnderstood(line, about or _beginning(text, start), str(exc))
    return RubyAssignment(line, name, keys, value)


def _left_side(text: RubyText) -> tuple[str, tuple[str, ...]]:
    name = text.take(_NAME)
    if not name:
        text.refuse("no setting begins so")
    keys: list[str] = []
    while text.peek() == "[":
        text.place += 1
        text.skip()
        key = text.literal()
        text.skip()
        if not isinstance(key, str) or text.peek() != "]":
            text.refuse("the name of a setting must be a string")
        text.place += 1
        keys.append(key)
    return name[0], tuple(keys)


def _argument(text: RubyText) -> RubyValue:
    """The value of ``external_url 'https://…'``, with brackets or without."""
    if text.peek() != "(":
        return text.literal()
    text.place += 1
    text.skip(lines=True)
    value = text.literal()
    text.skip(lines=True)
    if text.peek() != ")":
        text.refuse("only one value is understood there")
    text.place += 1
    return value


def _beginning(text: RubyText, start: int) -> str:
    """The setting with which a line begins, else its first word."""
    found = _BEGINNING.match(text.text, start)
    return found[0] if found else ""


def _opens(text: RubyText) -> bool:
    return bool(_BLOCK.match(text.text, text.place) or _DO.search(_line_at(text)))


def _line_at(text: RubyText) -> str:
    found = _REST.match(text.text, text.place)
    return found[0] if found else ""


def _go_on(text: RubyText, start: int) -> None:
    """Go to the end of a statement that was not understood: the first end of a line outside of all brackets."""
    text.place = start
    depth = 0
    while not text.is_over:
        char = text.peek()
        if char in ("'", '"'):
            try:
                text.literal()
            except NotLiteral:
                text.take(_REST)
            continue
        if char == "#":
            text.take(_REST)
            continue
        if char == "\n" and depth <= 0:
            return
        depth += (char in "([{") - (char in ")]}")
        text.place += 1


def _block(text: RubyText) -> Iterator[NotUnderstood]:
    """Go over a block, and say each line in it."""
    depth = 0
    while not text.is_over:
        text.skip(lines=True)
        line = text.line
        if _opens(text):
            depth += 1
        elif _END.match(text.text, text.place):
            depth -= 1
        if not text.is_over:
            yield NotUnderstood(line, _beginning(text, text.place), "it depends on a condition or belongs to a block")
        text.take(_REST)
        if depth <= 0:
            return
