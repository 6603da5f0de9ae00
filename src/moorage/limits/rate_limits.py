"""Limits on a client's requests: who is counted, what is logged, what the client is told.

Source: GitLab features RLM-001 to RLM-008; draft-ietf-httpapi-ratelimit-headers-07.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from moorage.auth.addresses import network_of
from moorage.cache.remembered import Remembered
from moorage.errors import TooManyRequests
from moorage.limits.rates import Counters, Rate, RateVerdict
from moorage.telemetry import get_log

_log = get_log("limits")

_SAID = timedelta(minutes=1)
"""Time for which one line in the log stands for all that a client does: who floods us must not flood the log."""
_SAID_LIMIT = 10_000
_WAITING_LIMIT = 1000
"""Requests of all clients that a worker holds at once."""

CountedBy = Literal["ip", "user"]
Observer = Callable[[str, str], None]
"""Is told of each verdict: the limiter's name, and ``allowed``, ``warned``, ``held``, ``exceeded`` or ``blocked``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimit:
    """One limiter."""

    rate: Rate
    by: CountedBy
    description: str = ""
    warn_at: float = 0.0
    """The part of the bucket, once used, from which it is said; 0: never."""
    warns: bool = False
    """True if that is a warning, else it is for who looks for a mistake."""
    logs: bool = True
    """True if a request over the limit is logged."""


class RateLimits:
    """All limiters, in their order."""

    def __init__(
        self, limits: Sequence[RequestLimit], counters: Counters, *, observe: Observer = lambda _name, _result: None
    ) -> None:
        self._by: dict[CountedBy, list[RequestLimit]] = {"ip": [], "user": []}
        for limit in limits:
            self._by[limit.by].append(limit)
        self._counters = counters
        self._observe = observe
        self._waiting = 0
        self._said: Remembered[tuple[str, str, bool], bool] = Remembered(_SAID_LIMIT, age=_SAID)

    async def admit_address(self, address: str) -> Mapping[str, str]:
        """Count a request by its address, before anything else is done for it; return headers for the answer.

        Raises:
            LimitExceeded: it is one too many.
        """
        return await self._admit("ip", network_of(address)) if self._by["ip"] else {}

    async def admit_client(self, client: str) -> Mapping[str, str]:
        """Count a request by the user of its credentials, or where there are none by its address.

        Raises:
            LimitExceeded: it is one too many.
        """
        return await self._admit("user", client) if self._by["user"] else {}

    async def _admit(self, by: CountedBy, client: str) -> Mapping[str, str]:
        limits = self._by[by]
        verdicts = await self._counters.take(f"{by}:{client}", [limit.rate for limit in limits])
        for limit, verdict in zip(limits, verdicts, strict=False):
            self._note(limit, verdict, client)
        if verdicts[-1].stops:
            raise LimitExceeded(verdicts[-1], by=by, client=client)
        await self._wait(max(verdicts, key=lambda one: one.wait_s), by=by, client=client)
        return headers_of(min(verdicts, key=lambda one: (one.is_allowed, 1 - one.used)))

    async def _wait(self, verdict: RateVerdict, *, by: CountedBy, client: str) -> None:
        """Hold a request until its token comes: docker and containerd do not wait, they ask again at once and fail."""
        if not verdict.wait_s:
            return
        if self._waiting >= _WAITING_LIMIT:
            refused = verdict.rate.denied(verdict.lacking_s)
            raise LimitExceeded(refused, by=by, client=client)
        self._waiting += 1
        try:
            await asyncio.sleep(verdict.wait_s)
        finally:
            self._waiting -= 1

    def _note(self, limit: RequestLimit, verdict: RateVerdict, client: str) -> None:
        is_warning = verdict.is_allowed and 0 < limit.warn_at <= verdict.used
        if verdict.is_allowed and not is_warning:
            self._observe(limit.rate.name, "held" if verdict.wait_s else "allowed")
            return
        result = "warned" if is_warning else ("blocked" if verdict.stops else "exceeded")
        self._observe(limit.rate.name, "held" if verdict.wait_s else result)
        key = (limit.rate.name, client, is_warning)
        if self._said.get(key):
            return
        self._said.put(key, value=True)
        fields = {"limiter": limit.rate.name, "description": limit.description, "client": client}
        if is_warning:
            (_log.warning if limit.warns else _log.debug)("a client nears its rate limit", **fields, used=verdict.used)
        else:
            say = _log.warning if limit.logs else _log.debug
            say("a client is over its rate limit", **fields, blocked=verdict.stops, retry_after_s=verdict.retry_after_s)


class LimitExceeded(TooManyRequests):
    """A client has made more requests than a limiter allows."""

    def __init__(self, verdict: RateVerdict, *, by: CountedBy, client: str) -> None:
        super().__init__(
            f"more requests than {verdict.rate.count} in {verdict.rate.period_s:g} s; wait, then go on",
            retry_after=timedelta(seconds=verdict.retry_after_s),
            **{by: client},
            limit=verdict.rate.name,
            remaining=verdict.remaining,
        )
        self.headers = headers_of(verdict)


def headers_of(verdict: RateVerdict) -> Mapping[str, str]:
    """The headers that tell a client how near a limit it is. Source: GitLab features RLM-005."""
    limit, remaining, reset = verdict.rate.count, verdict.remaining, verdict.reset_s
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
        "RateLimit": f"limit={limit}, remaining={remaining}, reset={reset}",
        "RateLimit-Policy": f"{limit};w={verdict.rate.period_s:g}",
    }
