"""Regular expressions that strangers may give: RE2's, whose time grows with the text alone."""

from typing import Any


class PatternInvalid(ValueError):
    """A text that is no pattern of RE2; *reason* is RE2's own word."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"is not RE2: {reason}")
        self.reason = reason


def compiled(pattern: str, *, memory_bytes: int | None = None) -> Any:  # noqa: ANN401 - re2 has no types
    """Compile RE2: no pattern can hang. *memory_bytes*: one that needs more is refused; None: RE2's own limit.

    Raises:
        PatternInvalid: it is none; with why.
    """
    import re2  # noqa: PLC0415 - most servers are given no pattern, and keep what they have imported

    options = re2.Options()
    options.log_errors = False
    if memory_bytes is not None:
        options.max_mem = memory_bytes
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as exc:
        raise PatternInvalid(_reason(exc)) from None


def _reason(exc: Exception) -> str:
    """RE2's word, which comes as bytes and would be shown with their quotes."""
    said = exc.args[0] if exc.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(exc)
