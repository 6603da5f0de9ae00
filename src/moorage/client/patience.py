"""Patience with a registry: how often it is asked again, after which pause, and how long each wait may be."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that say nothing about the request itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryPatience:
    """Bounds of waiting for a registry and of asking it again."""

    retries: int = 5
    """Attempts after the first, for as long as none of them gets anywhere."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 120.0
    """A registry that asks to wait longer than this is not waited for."""
    connect_s: float = 15.0
    idle_s: float = 60.0
    """The longest that nothing moves on a connection."""
    answer_s: float = 600.0
    """The longest wait for an answer to what was uploaded: the other side may read all of it again."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    now: Callable[[], float] = time.time

    def asked_pause_s(self, headers: Mapping[str, str]) -> float | None:
        """Return the seconds that ``Retry-After`` asks for; None: it is not there, or says nothing.

        Source: RFC 9110 § 10.2.3.
        """
        text = headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - self.now())

    async def again(self, failures: int, asked_s: float | None = None) -> bool:
        """Wait for the attempt after so many *failures*; False at once: there is to be none."""
        if failures > self.retries or (asked_s or 0.0) > self.longest_pause_s:
            return False
        bound_s = min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(failures - 1, 30))
        # Half of the pause is drawn, so that those who failed together do not come back together.
        await self.sleep(max(asked_s or 0.0, bound_s * (1 + self.chance()) / 2))
        return True
