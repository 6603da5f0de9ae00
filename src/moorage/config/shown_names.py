"""Names that somebody has written, as they are printed, and those that may have been meant."""

from collections.abc import Iterable

_SHOWN_LENGTH = 60


def shown(name: str) -> str:
    """A name as it can be printed: without control characters and what is no Unicode, and not too long."""
    text = name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return which of *known* may be meant by *name*; empty: none is like it by at least *likeness*, from 0 to 1."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a mistake only

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=likeness)), "")
