"""``rate_limiter``: limits for each client."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from moorage.config.section import Count, Flag, Lower, Section, Text, UnitDuration, Whole, now


class LimiterMatch(Section):
    """``rate_limiter.limiters[].match``"""

    type: Annotated[Text, Lower] = now(
        "", "`IP`: by address (of IPv6 by its /64). Moorage: `user`: by the user of the credentials, else by address."
    )


class LimiterLimit(Section):
    """``rate_limiter.limiters[].limit``"""

    rate: Count = now(0, "Requests in a period.")
    period: Annotated[Text, Lower] = now("", "`second`, `minute` or `hour`.")
    burst: Count = now(0, "Requests at once.")
    wait: UnitDuration = now(
        timedelta(seconds=5),
        "Moorage: with `block`, how long a request waits for its turn before it is refused; 0: it is refused at once.",
    )


class LimiterAction(Section):
    """``rate_limiter.limiters[].action``"""

    warn_threshold: Annotated[float, Field(ge=0, le=1, strict=True)] = now(
        0.0, "Share of the burst, from 0 to 1, from which there is a warning; 0: none."
    )
    warn_action: Annotated[Text, Lower] = now("none", "`none` or `log`.")
    hard_action: Annotated[Text, Lower] = now("", "`none`, `log` or `block`.")


class Limiter(Section):
    """``rate_limiter.limiters[]``"""

    name: Text = now("", "For the log and for metrics.")
    description: Text = now("", "For people.")
    log_only: Flag = now(False, "True: nobody is blocked.")
    match: LimiterMatch = now(LimiterMatch, "Whom.")
    precedence: Whole = now(0, "Order: the smallest first; all of `IP` come before those of `user`.")
    limit: LimiterLimit = now(LimiterLimit, "How much.")
    action: LimiterAction = now(LimiterAction, "What then.")


class RateLimiter(Section):
    """``rate_limiter``"""

    enabled: Flag = now(False, "True: there are limits.")
    limiters: list[Limiter] = now([], "Which.")
