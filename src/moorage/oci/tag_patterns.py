"""Patterns of tags, as a client gives them to choose many at once. Those of tokens are in ``auth/protections.py``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from moorage.errors import ParameterInvalid
from moorage.oci.names import Tag
from moorage.oci.safe_patterns import compiled

PATTERN_LENGTH_LIMIT = 1000
"""Characters."""


@dataclass(frozen=True, slots=True)
class TagPattern:
    """RE2 that a tag has to match as a whole: no pattern can hang."""

    text: str
    _fullmatch: Callable[[str], object] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern.

        Raises:
            ParameterInvalid: it is not RE2, or too long.
        """
        if len(text) > PATTERN_LENGTH_LIMIT:
            msg = f"a pattern has at most {PATTERN_LENGTH_LIMIT} characters"
            raise ParameterInvalid(msg)
        try:
            return cls(text, compiled(text).fullmatch)
        except ValueError as exc:
            msg = f"the pattern {exc}"
            raise ParameterInvalid(msg, pattern=text) from None

    def matches(self, tag: Tag) -> bool:
        """Return whether the whole of *tag* is as the pattern says."""
        return self._fullmatch(tag.text) is not None
