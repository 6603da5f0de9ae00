"""Versions in tags, and ranges of them, such as ``>=1.2 <2``.

Source: Semantic Versioning 2.0.0; a leading ``v`` and missing parts are taken too, as tags have them.
"""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

from moorage.errors import ParameterInvalid
from moorage.oci.names import Tag

_PARTS = 3
_NUMBER = r"(?:0|[1-9]\d{0,17})"
_VERSION = re.compile(rf"v?({_NUMBER}(?:\.{_NUMBER}){{0,2}})(?:-([0-9A-Za-z.-]+))?(?:[+_]([0-9A-Za-z.-]+))?", re.ASCII)
_TERM = re.compile(r"(>=|<=|>|<|=|\^|~)?\s*([^\s,<>=^~]+)")


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class TagVersion:
    """A version, such as ``v1.2.3-rc.1``."""

    numbers: tuple[int, ...]
    pre: tuple[str, ...] = ()
    """Words of a version that comes before the one of these numbers; empty: it is that one."""
    said: int = _PARTS
    """The number of parts that were written."""

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read a version; None: it is none."""
        found = _VERSION.fullmatch(text)
        if found is None:
            return None
        numbers = tuple(int(part) for part in found[1].split("."))
        return cls(
            (*numbers, *[0] * (_PARTS - len(numbers))),
            tuple((found[2] or "").split(".")) if found[2] else (),
            len(numbers),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagVersion) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __lt__(self, other: "TagVersion") -> bool:
        return self._key < other._key

    @property
    def _key(self) -> tuple[object, ...]:
        # Numbers come before words, and what is a release comes after all that leads to it.
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return self.numbers, not self.pre, parts


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A range: all its terms have to hold."""

    text: str
    _terms: tuple[tuple[str, TagVersion], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a range: ``>=1.2 <2``, ``^1.4``, ``~1.4.2``, ``1.4``, parted by spaces or commas.

        Raises:
            ParameterInvalid: it is none.
        """
        found = [(sign, TagVersion.of(word)) for sign, word in _TERM.findall(text)]
        terms = [term for sign, version in found if version is not None for term in _bounds(sign, version)]
        if not found or any(version is None for _, version in found) or _TERM.sub("", text).strip(" ,"):
            msg = f"{text!r} is no range of versions; give one such as '>=1.2 <2', '^1.4' or '~1.4.2'"
            raise ParameterInvalid(msg)
        return cls(text, tuple(terms))

    def has(self, tag: Tag) -> bool:
        """Return whether a tag is a version in the range. Of those before a release only those that a term names."""
        version = TagVersion.of(tag.text)
        if version is None:
            return False
        if version.pre and not any(bound.pre and bound.numbers == version.numbers for _, bound in self._terms):
            return False
        return all(_HOLDS[sign](version, bound) for sign, bound in self._terms)


_HOLDS = {
    ">=": lambda version, bound: version >= bound,
    "<=": lambda version, bound: version <= bound,
    ">": lambda version, bound: version > bound,
    "<": lambda version, bound: version < bound,
}


def _bounds(sign: str, version: TagVersion) -> list[tuple[str, TagVersion]]:
    """A term as comparisons."""
    if sign == "^":
        place = next((i for i, number in enumerate(version.numbers[: version.said]) if number), version.said - 1)
        return [(">=", version), ("<", _next(version, place))]
    if sign == "~":
        return [(">=", version), ("<", _next(version, min(1, version.said - 1)))]
    after = _next(version, version.said - 1)
    is_whole = version.said == _PARTS
    if sign in ("", "="):
        return [(">=", version), ("<=", version)] if is_whole else [(">=", version), ("<", after)]
    if sign == ">" and not is_whole:
        return [(">=", after)]
    if sign == "<=" and not is_whole:
        return [("<", after)]
    return [(sign, version)]


def _next(version: TagVersion, place: int) -> TagVersion:
    """The first version whose number at a place is higher."""
    numbers = [*version.numbers[:place], version.numbers[place] + 1, *[0] * (_PARTS - 1 - place)]
    return TagVersion(tuple(numbers))
