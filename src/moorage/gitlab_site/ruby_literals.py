"""Literals of Ruby, read without running anything: strings, numbers, symbols, arrays, hashes.

What needs Ruby itself to know its value (interpolation, a call, a constant, an expression) is refused with its line.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, TypeAlias

RubyValue: TypeAlias = "str | int | float | bool | Sequence[RubyValue] | Mapping[str, RubyValue] | None"
"""A value that a literal stands for; a symbol is the string of its name."""

DEEPEST = 50
"""The number of arrays and hashes in each other that is read."""

_BLANK = re.compile(r"(?:[ \t\r]|\\\r?\n|#[^\n]*)*")
_BLANK_LINES = re.compile(r"(?:\s|\\\r?\n|#[^\n]*|^=begin\b.*?^=end\b[^\n]*)*", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+(?![.\d])|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)(?!\w)"
)
_WORD = re.compile(r"[A-Za-z_]\w*[?!]?")
_KEY = re.compile(r"([A-Za-z_]\w*[?!]?):(?!:)")
_HEREDOC = re.compile(r"<<([~-]?)(['\"]?)([A-Za-z_]\w*)\2")
_SIMPLE_ESCAPES = dict(zip("ntr0esabfv", "\n\t\r\0\x1b \a\b\f\v", strict=True))
_CODE = re.compile(r"u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{1,2})")
_SURROGATES = range(0xD800, 0xE000)
_CONSTANTS: dict[str, RubyValue] = {"true": True, "false": False, "nil": None}
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}


class NotLiteral(ValueError):
    """Text whose value only Ruby could tell.

    Attributes:
        line: where it is, counted from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class RubyText:
    """A text and the place to which it was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self._heredoc_end = 0

    @property
    def line(self) -> int:
        """The number of the line of the place, from 1."""
        return self.text.count("\n", 0, self.place) + 1

    @property
    def is_over(self) -> bool:
        """True if nothing is left."""
        return self.place >= len(self.text)

    def peek(self, width: int = 1) -> str:
        """Return what comes next."""
        return self.text[self.place : self.place + width]

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Go over *pattern* if it is next."""
        if found := pattern.match(self.text, self.place):
            self.place = found.end()
        return found

    def skip(self, *, lines: bool = False) -> None:
        """Go over blanks and comments; with *lines*, over ends of lines too."""
        self.take(_BLANK_LINES if lines else _BLANK)

    def end_line(self) -> bool:
        """Go over the end of a statement, if that is what comes; the text of heredocs belongs to its line."""
        self.skip()
        if self.is_over:
            return True
        if self.peek() == ";":
            self.place += 1
            return True
        if self.peek() != "\n":
            return False
        self.place = max(self.place + 1, self._heredoc_end)
        return True

    def refuse(self, message: str) -> NoReturn:
        """Say that what comes is no literal.

        Raises:
            NotLiteral: always.
        """
        raise NotLiteral(self.line, message)

    def literal(self, depth: int = 0) -> RubyValue:
        """Read a literal.

        Raises:
            NotLiteral: something else is there.
        """
        if depth > DEEPEST:
            self.refuse(f"more than {DEEPEST} arrays and hashes in each other")
        if read := self._readers.get(self.peek()):
            return read(depth)
        if number := self.take(_NUMBER):
            return _number(number[0])
        return self._constant()

    @property
    def _readers(self) -> Mapping[str, Callable[[int], RubyValue]]:
        """Readers of literals by their first character."""
        return {
            "'": self._strings,
            '"': self._strings,
            "[": self._array,
            "{": self._hash,
            ":": self._symbol,
            "%": self._percent,
            "<": self._heredoc,
        }

    def _constant(self) -> RubyValue:
        if not (word := self.take(_WORD)):
            self.refuse("a value is missing" if self.peek() in ("", "\n") else f"{self.peek()!r} begins no literal")
        if word[0] not in _CONSTANTS or self.peek() in (".", "("):
            self.place = word.start()
            self.refuse(f"{word[0]} is not a literal, and Ruby is not run")
        return _CONSTANTS[word[0]]

    def _symbol(self, _depth: int) -> str:
        self.place += 1
        return self._string() if self.peek() in ("'", '"') else self._word("a symbol's name")

    def _word(self, wanted: str) -> str:
        if not (found := self.take(_WORD)):
            self.refuse(f"{wanted} is missing")
        return found[0]

    def _strings(self, _depth: int) -> str:
        """Strings beside each other are one."""
        first = self._string()
        while True:
            here = self.place
            self.skip()
            if self.peek() not in ("'", '"'):
                self.place = here
                return first
            first += self._string()

    def _string(self) -> str:
        quote = self.peek()
        self.place += 1
        return self._until(quote, is_plain=quote == "'")

    def _until(self, end: str, *, is_plain: bool, begin: str = "") -> str:
        """Read a string to *end*; brackets of its own kind inside count."""
        start, depth, found = self.line, 0, []
        while not self.is_over:
            char = self.peek()
            self.place += 1
            if char == "\\":
                found.append(self._plain_escape(end, begin) if is_plain else self._escape())
                continue
            if char == "#" and self.peek() in ("{", "$", "@") and not is_plain:
                self.refuse("a string with #{…} has no value without Ruby")
            if begin and char == begin:
                depth += 1
            if char == end:
                if not depth:
                    return "".join(found)
                depth -= 1
            found.append(char)
        raise NotLiteral(start, "a string that is not closed")

    def _plain_escape(self, end: str, begin: str) -> str:
        char = self.peek()
        if char and char in ("\\", end, begin):
            self.place += 1
            return char
        return "\\"

    def _escape(self) -> str:
        if code := self.take(_CODE):
            number = int(code[1] or code[2] or code[3], 16)
            if number > sys.maxunicode or number in _SURROGATES:
                self.refuse("an escape that is no character")
            return chr(number)
        char = self.peek()
        self.place += 1
        return "" if char == "\n" else _SIMPLE_ESCAPES.get(char, char)

    def _array(self, depth: int) -> Sequence[RubyValue]:
        found: list[RubyValue] = []
        self.place += 1
        while not self._closed("]", is_first=not found):
            found.append(self.literal(depth + 1))
        return found

    def _hash(self, depth: int) -> Mapping[str, RubyValue]:
        found: dict[str, RubyValue] = {}
        self.place += 1
        while not self._closed("}", is_first=not found):
            key = self._key(depth)
            self.skip(lines=True)
            found[key] = self.literal(depth + 1)
        return found

    def _closed(self, end: str, *, is_first: bool) -> bool:
        """Go over what is between two elements; return whether the last one was read."""
        self.skip(lines=True)
        if not is_first and self.peek() == ",":
            self.place += 1
            self.skip(lines=True)
        elif not is_first and self.peek() != end:
            self.refuse(f"{'a comma' if self.peek() else repr(end)} is missing, or a value is more than a literal")
        if self.peek() != end:
            return False
        self.place += 1
        return True

    def _key(self, depth: int) -> str:
        if name := self.take(_KEY):
            return name[1]
        key = self.literal(depth + 1)
        if not isinstance(key, str | int) or isinstance(key, bool):
            self.refuse("a key must be a string or a symbol")
        if self.peek() == ":" and self.peek(2) != "::":
            self.place += 1
            return str(key)
        self.skip(lines=True)
        if self.peek(2) != "=>":
            self.refuse("=> is missing after a key")
        self.place += 2
        return str(key)

    def _percent(self, _depth: int) -> RubyValue:
        """``%w(a b)``, ``%i(a b)``, ``%q(text)``, ``%Q(text)``, ``%(text)``."""
        found = self.take(re.compile(r"%([wWiIqQ]?)([^\w\s])"))
        if not found:
            self.refuse("'%' begins no literal")
        kind, begin = found[1], found[2]
        end = _BRACKETS.get(begin, begin)
        text = self._until(end, is_plain=kind in ("w", "i", "q"), begin=begin if end != begin else "")
        return text.split() if kind in tuple("wWiI") and kind else text

    def _heredoc(self, _depth: int) -> str:
        """The lines below the one on which it begins."""
        mark = self.take(_HEREDOC)
        if not mark:
            self.refuse("'<<' begins no literal")
        indent, quote, name = mark.groups()
        after = self.text.find("\n", self.place)
        start = max(after + 1, self._heredoc_end) if after >= 0 else len(self.text)
        before = r"^[ \t]*" if indent else "^"
        closing = re.compile(rf"{before}{name}\r?$", re.MULTILINE).search(self.text, start)
        if not closing:
            self.refuse(f"the text that ends with {name} is not closed")
        body = self.text[start : closing.start()]
        self._heredoc_end = min(closing.end() + 1, len(self.text))
        if indent == "~":
            body = _without_margin(body)
        if quote == "'":
            return body
        inner = RubyText(body + "\0")
        try:
            return inner._until("\0", is_plain=False)
        except NotLiteral as exc:
            self.refuse(str(exc))


def _without_margin(body: str) -> str:
    lines = body.splitlines(keepends=True)
    margin = min((len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()), default=0)
    return "".join(line[margin:] if line.strip() else line.lstrip(" \t") for line in lines)


def _number(text: str) -> int | float:
    text = text.replace("_", "")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if digits[:2] in ("0x", "0X"):
        return sign * int(digits, 0)
    if re.fullmatch(r"0[oO]?[0-7]+", digits):
        return sign * int(digits.lstrip("0oO") or "0", 8)
    return sign * (float(digits) if re.search(r"[.eE]", digits) else int(digits))
