"""Lengths of time as GitLab's policies have them: ``7d``, ``1month``, ``1h 30min``. A month has 30 days."""

import re
from datetime import timedelta

DURATION_LIMIT = timedelta(days=36_500)

_SECONDS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "d": 86_400,
    "day": 86_400,
    "w": 7 * 86_400,
    "week": 7 * 86_400,
    "mo": 30 * 86_400,
    "month": 30 * 86_400,
    "y": 365 * 86_400,
    "year": 365 * 86_400,
}
_PART = re.compile(r"\s*([0-9]{1,9})\s*([a-z]+)\s*,?", re.ASCII)
_TEXT_LIMIT = 100


def parse_duration(text: str) -> timedelta | None:
    """Return the length of time that *text* says; None if it says none, or one of more than a hundred years."""
    rest, total = text.lower().strip(), 0
    if not rest or len(rest) > _TEXT_LIMIT:
        return None
    while rest:
        found = _PART.match(rest)
        seconds = _SECONDS.get(_singular(found.group(2))) if found is not None else None
        if found is None or seconds is None:
            return None
        total += int(found.group(1)) * seconds
        rest = rest[found.end() :]
    return timedelta(seconds=total) if total <= DURATION_LIMIT.total_seconds() else None


def _singular(unit: str) -> str:
    return unit[:-1] if len(unit) > 1 and unit.endswith("s") else unit
