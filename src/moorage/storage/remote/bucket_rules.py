"""Rules that an administrator has given a bucket, and by which the service removes or keeps what is in it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """A rule that ends something some days after it was made."""

    name: str
    days: int | None
    """None: at a date."""
    prefix: str
    """Of the keys that it is about; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRules:
    """All that the service tells of such rules; what it does not tell is as if there were none."""

    has_versions: bool = False
    """True: what is deleted or written over stays as an older version."""
    ends_versions: bool = False
    """True: a rule removes older versions after a time."""
    expiries: Sequence[LifecycleRule] = ()
    """Those that remove objects."""
    aborts: Sequence[LifecycleRule] = ()
    """Those that end uploads in parts that are not complete."""
    retention: str = ""
    """The time for which each object is kept from deletion, in words; empty: none."""
