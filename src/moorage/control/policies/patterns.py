r"""Patterns of a cleanup policy: RE2, about the whole name of a tag.

GitLab writes ``\A`` before a pattern and ``\z`` after it, without a group, so that ``a|b`` means "begins with a, or
ends with b" there. Of a pattern with alternatives we take the reading that keeps more: it deletes what it matches as a
whole, and keeps what it matches in either reading.

Source: GitLab features CPA-004, CPD-006, CPD-013; ADR 0078.
"""

from functools import lru_cache
from typing import Any

from moorage.oci.safe_patterns import PatternInvalid, compiled

PATTERN_LENGTH_LIMIT = 255

_MEMORY_BYTES = 1 << 20


class PatternUnusable(ValueError):
    """A text that is no RE2, or too long; the message says why."""


def check_pattern(text: str) -> None:
    """Refuse a pattern that cannot be used.

    Raises:
        PatternUnusable: it is not RE2, or too long.
    """
    if len(text) > PATTERN_LENGTH_LIMIT:
        msg = f"is too long (maximum is {PATTERN_LENGTH_LIMIT} characters)"
        raise PatternUnusable(msg)
    _compiled(text)
    _compiled(_wrapped(text))


def deletes(pattern: str, name: str) -> bool:
    """Return whether the whole of *name* is as *pattern* says. The empty pattern matches no tag.

    Raises:
        PatternUnusable: as :func:`check_pattern`.
    """
    return _compiled(pattern).fullmatch(name) is not None


def keeps(pattern: str, name: str) -> bool:
    """Return whether *pattern* means *name* in the one reading or the other.

    Raises:
        PatternUnusable: as :func:`check_pattern`.
    """
    return deletes(pattern, name) or _compiled(_wrapped(pattern)).search(name) is not None


def _wrapped(pattern: str) -> str:
    return rf"\A{pattern}\z"


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    try:
        return compiled(pattern, memory_bytes=_MEMORY_BYTES)
    except PatternInvalid as exc:
        msg = f"not valid RE2 syntax: {exc.reason}"
        raise PatternUnusable(msg) from None
