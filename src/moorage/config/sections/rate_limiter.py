"""``rate_limiter``: limits for each client."""

from typing import Annotated

from pydantic import Field

from moorage.config.section import (
    Count,
    Flag,
    Section,
    Text,
    Whole,
    later,
)


class LimiterMatch(Section):
    """``rate_limiter.limiters[].match``"""

    type: Text = later("", "IP.")


class LimiterLimit(Section):
    """``rate_limiter.limiters[].limit``"""

    rate: Count = later(0, "Requests in a period.")
    period: Text = later("", "second, minute or hour.")
    burst: Count = later(0, "Requests at once.")


class LimiterAction(Section):
    """``rate_limiter.limiters[].action``"""

    warn_threshold: Annotated[float, Field(ge=0, le=1, strict=True)] = later(
        0.0, "Share of the limit from which to warn."
    )
    warn_action: Text = later("", "none or log.")
    hard_action: Text = later("", "none, log or block.")


class Limiter(Section):
    """``rate_limiter.limiters[]``"""

    name: Text = later("", "For the log.")
    description: Text = later("", "For people.")
    log_only: Flag = later(False, "True: nobody is blocked.")
    match: LimiterMatch = later(LimiterMatch, "Whom.")
    precedence: Whole = later(0, "Order.")
    limit: LimiterLimit = later(LimiterLimit, "How much.")
    action: LimiterAction = later(LimiterAction, "What then.")


class RateLimiter(Section):
    """``rate_limiter``"""

    enabled: Flag = later(False, "True: there are limits.")
    limiters: list[Limiter] = later([], "Which.")
