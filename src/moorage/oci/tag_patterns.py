"""Patterns of tags, as a client gives them to choose many at once. Those of tokens are in ``auth/protections.py``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from moorage.errors import ParameterInvalid
from moorage.oci.names import Tag

PATTERN_LENGTH_LIMIT = 1000
"""Characters."""


def compiled(pattern: str, *, memory_bytes: int | None = None) -> Any:  # noqa: ANN401 - re2 has no types
    """Compile RE2: no pattern can hang. *memory_bytes*: one that needs more is refused; None: RE2's own limit.

    Raises:
        ValueError: it is none; with why.
    """
    import re2  # noqa: PLC0415 - most servers are given no pattern, and keep what they have imported

    options = re2.Options()
    options.log_errors = False
    if memory_bytes is not None:
        options.max_mem = memory_bytes
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as exc:
        msg = f"is not RE2: {exc}"
        raise ValueError(msg) from None


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
