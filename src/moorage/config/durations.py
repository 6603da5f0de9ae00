"""Durations as Go writes them."""

import re
from datetime import timedelta
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d{1,19}(?:\.\d{0,19})?|\.\d{1,19})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+", re.ASCII)
_SHOWN_LENGTH = 40
_LIMIT_NS = 1 << 63
_MICROSECOND = timedelta(microseconds=1)


def parse_duration(value: object) -> timedelta:
    """Read ``1h30m``, ``500ms``, ``0``; a bare number (not in quotes) is nanoseconds.

    What is less than a microsecond counts as one: a duration that was given is never 0, which often means "none".

    Raises:
        ValueError: it is no duration, or longer than Go's 292 years.

    Source: Go ``time.ParseDuration``; GitLab features CFP-011.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        msg = "a duration such as 30s, 1h30m or 500ms is needed"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    nanoseconds = Fraction(value) if isinstance(value, int) else _nanoseconds(value.strip())
    if not -_LIMIT_NS <= nanoseconds < _LIMIT_NS:
        msg = "a duration is at most 292 years"
        raise ValueError(msg)
    microseconds = -(-abs(nanoseconds) // 1000)
    return (-microseconds if nanoseconds < 0 else microseconds) * _MICROSECOND


def format_duration(value: timedelta) -> str:
    """Print a duration as Go reads it: ``168h``, ``1m30s``, ``500ms``."""
    microseconds = value // _MICROSECOND
    if microseconds == 0:
        return "0s"
    sign, rest, text = ("-" if microseconds < 0 else ""), abs(microseconds), ""
    for unit, size in (("h", 3600 * 10**6), ("m", 60 * 10**6), ("s", 10**6), ("ms", 1000), ("us", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return sign + text


def _nanoseconds(text: str) -> Fraction:
    if text in ("0", "+0", "-0"):
        return Fraction(0)
    if not _WHOLE.fullmatch(text):
        shown = text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
        msg = f"{shown!r} is no duration; write it as 30s, 1h30m or 500ms"
        raise ValueError(msg)
    total = sum((Fraction(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text)), Fraction(0))
    return -total if text.startswith("-") else total
