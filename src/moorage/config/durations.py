"""Durations as Go writes them."""

import re
from datetime import timedelta

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
_PART = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+")
_LIMIT_NS = 1 << 63


def parse_duration(value: object) -> timedelta:
    """Read ``1h30m``, ``500ms``, ``0``; a bare number is nanoseconds.

    Raises:
        ValueError: it is no duration, or longer than Go's 292 years.

    Source: Go ``time.ParseDuration``; GitLab features CFP-011.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        msg = "a duration such as 30s, 1h30m or 500ms is needed"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    text = str(value).strip()
    if re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII):
        nanoseconds = float(int(text))
    elif _WHOLE.fullmatch(text):
        parts = _PART.findall(text)
        nanoseconds = sum(float(number) * _NANOSECONDS[unit] for number, unit in parts)
        nanoseconds = -nanoseconds if text.startswith("-") else nanoseconds
    else:
        msg = f"{text[:40]!r} is no duration; write it as 30s, 1h30m or 500ms"
        raise ValueError(msg)
    if abs(nanoseconds) >= _LIMIT_NS:
        msg = "a duration is at most 292 years"
        raise ValueError(msg)
    return timedelta(microseconds=nanoseconds / 1000)


def format_duration(value: timedelta) -> str:
    """Print a duration as Go reads it: ``168h``, ``1m30s``, ``500ms``."""
    microseconds = round(value / timedelta(microseconds=1))
    if microseconds == 0:
        return "0s"
    sign, rest, text = ("-" if microseconds < 0 else ""), abs(microseconds), ""
    for unit, size in (("h", 3600 * 10**6), ("m", 60 * 10**6), ("s", 10**6), ("ms", 1000), ("us", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return sign + text
