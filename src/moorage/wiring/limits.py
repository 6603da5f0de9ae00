"""Rate limits as the configuration has them."""

from typing import TYPE_CHECKING

from moorage.config import Config
from moorage.config.limiter_mistakes import PERIODS_S
from moorage.config.redis_forms import main_redis
from moorage.config.sections.rate_limiter import Limiter
from moorage.limits.node_counters import NodeCounters
from moorage.limits.rate_limits import Observer, RateLimits, RequestLimit
from moorage.limits.rates import Counters, Rate
from moorage.telemetry import get_log

if TYPE_CHECKING:
    from moorage.redis.guarded import GuardedRedis

_log = get_log("limits")


def node_counters(config: Config) -> NodeCounters | None:
    """Return the counters that the processes of a node share, to be made before there are any; None: no limits."""
    limiter = config.rate_limiter
    if not limiter.enabled or not limiter.limiters:
        return None
    if not config.redis.ratelimiter.enabled and main_redis(config.redis) is None:
        _log.warning("rate limits without Redis: each node counts for itself, so that limits add up")
    return NodeCounters()


def rate_limits(
    config: Config, counters: NodeCounters | None, redis: "GuardedRedis | None", observe: Observer
) -> RateLimits | None:
    """Return the limits of one process; None: there are none."""
    if counters is None:
        return None
    ordered = sorted(config.rate_limiter.limiters, key=lambda limiter: limiter.precedence)
    limits = [_limit(limiter) for limiter in ordered]
    place: Counters = counters
    if redis is not None:
        from moorage.limits.redis_counters import RedisCounters  # noqa: PLC0415 - who has no Redis need not wait for it

        place = RedisCounters(redis, alone=counters)
    return RateLimits(limits, place, observe=observe)


def _limit(limiter: Limiter) -> RequestLimit:
    limit, action = limiter.limit, limiter.action
    blocks = action.hard_action == "block" and not limiter.log_only
    return RequestLimit(
        rate=Rate(
            name=limiter.name,
            count=limit.rate,
            period_s=PERIODS_S[limit.period],
            burst=limit.burst,
            blocks=blocks,
            patience_s=limit.wait.total_seconds() if blocks else 0.0,
        ),
        by="user" if limiter.match.type.strip() == "user" else "ip",
        description=limiter.description,
        warn_at=action.warn_threshold,
        warns=action.warn_action == "log",
        logs=action.hard_action != "none",
    )
