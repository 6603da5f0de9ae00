"""Quotas as functions of values: how full a place is, and whether a push is refused. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

WARNING_PERCENT = 80
BYTES_LIMIT = (1 << 63) - 1
_ALL = 100
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024
_LARGE = 100
"""From here on a decimal says nothing more."""


class QuotaState(StrEnum):
    """A place's fullness, from nothing to say up to refusal."""

    FREE = ""
    WARNING = "warning"
    """The threshold is reached."""
    SOFT = "soft"
    """The soft quota is reached: it is said, and nothing is refused."""
    HARD = "hard"
    """The hard quota is reached: pushes are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLimits:
    """The quotas of one place; None: it has no such quota."""

    soft_bytes: int | None = None
    hard_bytes: int | None = None
    warning_percent: int = WARNING_PERCENT
    """Of the lower of the two."""

    def state_at(self, size_bytes: int | None) -> QuotaState:
        """Return the state of a place of this size; None: it was never measured."""
        if size_bytes is None:
            return QuotaState.FREE
        if self.hard_bytes is not None and size_bytes >= self.hard_bytes:
            return QuotaState.HARD
        if self.soft_bytes is not None and size_bytes >= self.soft_bytes:
            return QuotaState.SOFT
        lowest = min((one for one in (self.soft_bytes, self.hard_bytes) if one is not None), default=None)
        is_near = lowest is not None and size_bytes * _ALL >= lowest * self.warning_percent
        return QuotaState.WARNING if is_near else QuotaState.FREE

    def problems(self) -> Mapping[str, Sequence[str]]:
        """Return what is wrong, by field; empty if they can be used."""
        found: dict[str, Sequence[str]] = {}
        for name, value in (("soft_bytes", self.soft_bytes), ("hard_bytes", self.hard_bytes)):
            if value is not None and not 0 <= value <= BYTES_LIMIT:
                found[name] = [f"must be from 0 to {BYTES_LIMIT}"]
        if not 1 <= self.warning_percent <= _ALL:
            found["warning_percent"] = [f"must be from 1 to {_ALL}"]
        is_backwards = self.soft_bytes is not None and self.hard_bytes is not None and self.soft_bytes > self.hard_bytes
        if is_backwards and not found:
            found["soft_bytes"] = ["must not be above hard_bytes"]
        return found


def refusal_of_push(name: str, size_bytes: int, hard_bytes: int) -> str:
    """Return the reason for which a push into *name* is refused, as clients print it to who pushes."""
    return (
        f"{name} is over its quota: {shown_size(size_bytes)} of {shown_size(hard_bytes)} are used; "
        "delete images, or ask an administrator for more"
    )


def refusal_of_move(name: str, size_bytes: int, hard_bytes: int) -> str:
    """Return the reason for which nothing with images is moved into *name*."""
    return (
        f"{name} has no room for these images in its quota: {shown_size(size_bytes)} of {shown_size(hard_bytes)} are "
        "used; delete images, or ask an administrator for more"
    )


def shown_size(size_bytes: float) -> str:
    """Return a number of bytes with three digits and its unit."""
    amount, unit = size_bytes, 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    digits = 0 if unit == 0 or amount >= _LARGE else 1
    return f"{amount:.{digits}f} {_UNITS[unit]}"
