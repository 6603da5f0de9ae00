"""Rates, and the arithmetic of a bucket that fills by itself.

Of a client one number is kept: how long it takes until its bucket is full again. A request adds the time of one token
to it. What would be more than the whole bucket waits for its token or, if that is too long, is refused; a refused
request changes nothing, so a client gets in as soon as there is a token, however often it asks.

Source: GitLab features RLM-001, RLM-002.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_ALMOST = 1e-6
"""Part of a token by which sums of fractions may be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many requests in a period, and so many at once."""

    name: str
    count: int
    period_s: float
    burst: int
    blocks: bool
    """True if a request over it is refused."""
    patience_s: float = 0.0
    """Seconds that a request over it may wait for its token instead; 0 where nothing is refused."""

    @property
    def token_s(self) -> float:
        """Seconds in which one token comes."""
        return self.period_s / self.count

    @property
    def whole_s(self) -> float:
        """Seconds in which an empty bucket is full."""
        return self.token_s * self.burst

    def verdict(self, lacking_s: float) -> "RateVerdict":
        """Return what becomes of a request, where the bucket is full in *lacking_s* seconds."""
        most_s = self.whole_s + self.patience_s
        lacking_s = min(max(lacking_s, 0.0), most_s)  # Another limit may have stood there before.
        after_s = lacking_s + self.token_s
        is_allowed = after_s <= most_s + self.token_s * _ALMOST
        return self.allowed(after_s) if is_allowed else self.denied(lacking_s)

    def allowed(self, lacking_s: float) -> "RateVerdict":
        """Return the verdict on a request that got its token; *lacking_s* as it is now."""
        return RateVerdict(self, is_allowed=True, lacking_s=lacking_s)

    def denied(self, lacking_s: float) -> "RateVerdict":
        """Return the verdict on a request that got none."""
        return RateVerdict(self, is_allowed=False, lacking_s=lacking_s)


@dataclass(frozen=True, slots=True)
class RateVerdict:
    """One rate's word on a request."""

    rate: Rate
    is_allowed: bool
    lacking_s: float
    """Seconds until the bucket is full."""

    @property
    def remaining(self) -> int:
        """Whole tokens that are left."""
        return max(0, math.floor((self.rate.whole_s - self.lacking_s) / self.rate.token_s + _ALMOST))

    @property
    def reset_s(self) -> int:
        """Whole seconds until the bucket is full."""
        return math.ceil(self.lacking_s)

    @property
    def retry_after_s(self) -> float:
        """Seconds until there is a token; 0 if there is one."""
        return 0.0 if self.is_allowed else max(0.0, self.lacking_s + self.rate.token_s - self.rate.whole_s)

    @property
    def wait_s(self) -> float:
        """Seconds until the token is there that the request was given."""
        return max(0.0, self.lacking_s - self.rate.whole_s) if self.is_allowed else 0.0

    @property
    def used(self) -> float:
        """The part of the bucket that is used up, from 0 to 1."""
        return 1 - self.remaining / self.rate.burst

    @property
    def stops(self) -> bool:
        """True if the request is refused for it."""
        return self.rate.blocks and not self.is_allowed


class Counters(Protocol):
    """A place where requests are counted."""

    async def take(self, client: str, rates: Sequence[Rate]) -> Sequence[RateVerdict]:
        """Take a token of each rate for one request of *client*, in their order; the first that stops it is the last.

        It does not fail: what cannot be counted together is counted alone.
        """
