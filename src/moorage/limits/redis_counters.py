"""Counters in Redis, for all nodes together; while it is away each node counts for itself."""

import base64
from collections.abc import Sequence
from typing import cast

from moorage.limits.rates import Counters, Rate, RateVerdict
from moorage.redis.guarded import GuardedRedis, RedisUnavailable

_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local said = {}
for i, key in ipairs(KEYS) do
  local token, most, blocks = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), ARGV[3 * i]
  local found = redis.pcall('GET', key)
  local full_at = type(found) == 'string' and tonumber(found) or now
  local lacking = math.min(math.max(full_at - now, 0), most)
  if lacking ~= lacking then lacking = 0 end
  if lacking + token <= most + token / 1000000 then
    lacking = lacking + token
    redis.call('SET', key, string.format('%.6f', now + lacking), 'PX', math.ceil(lacking * 1000) + 1)
    said[#said + 1] = {1, string.format('%.6f', lacking)}
  else
    said[#said + 1] = {0, string.format('%.6f', lacking)}
    if blocks == '1' then break end
  end
end
return said
"""
"""All rates of one request in one round trip, by the clock of Redis: those of nodes differ."""


class RedisCounters:
    """Counters in Redis; *alone* counts while that is away."""

    def __init__(self, redis: GuardedRedis, *, alone: Counters) -> None:
        self._redis = redis
        self._alone = alone

    async def take(self, client: str, rates: Sequence[Rate]) -> Sequence[RateVerdict]:
        """See :class:`moorage.limits.rates.Counters`."""
        if not rates:
            return ()
        keys = [key_of(client, rate) for rate in rates]
        numbers = [f"{rate.token_s:.9f} {rate.whole_s + rate.patience_s:.9f} {rate.blocks:d}".split() for rate in rates]
        arguments = [text for three in numbers for text in three]
        try:
            async with self._redis.turn() as redis:
                said = cast("list[list[object]]", await redis.eval(_TAKE, len(keys), *keys, *arguments))
                return [_verdict(rate, *answer) for rate, answer in zip(rates, said, strict=False)]
        except RedisUnavailable:
            return await self._alone.take(client, rates)


def key_of(client: str, rate: Rate) -> str:
    """The key of a client's bucket: all of one client are in one slot of a cluster, and each rate has its own.

    Not GitLab's key (features RED-006), which all its limiters share, with another content.
    """
    named = base64.urlsafe_b64encode(client.encode("utf-8", "backslashreplace")).decode()
    return f"moorage:{{rate-limit:{named}}}:{rate.name}"


def _verdict(rate: Rate, is_allowed: object, lacking: object) -> RateVerdict:
    lacking_s = float(cast("bytes", lacking))
    return rate.allowed(lacking_s) if is_allowed == 1 else rate.denied(lacking_s)
