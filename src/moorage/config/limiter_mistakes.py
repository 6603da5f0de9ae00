"""Mistakes in the section ``rate_limiter``. Source: GitLab features CFX-038, CFX-039."""

from collections.abc import Iterator

from moorage.config.sections.rate_limiter import Limiter, RateLimiter
from moorage.errors import Mistake

PERIODS_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_TYPES = ("ip", "user")
_WARNINGS = ("none", "log")
_ACTIONS = ("none", "log", "block")


def limiter_mistakes(section: RateLimiter) -> Iterator[Mistake]:
    """Yield each of them; what is switched off is not looked at."""
    names: set[str] = set()
    for number, limiter in enumerate(section.limiters if section.enabled else ()):
        path = f"rate_limiter.limiters[{number}]"
        if limiter.name in names:
            yield Mistake(f"{path}.name", "is there twice; a name is for one limiter")
        names.add(limiter.name)
        for key, message in _mistakes_of(limiter):
            yield Mistake(f"{path}.{key}", message)


def _mistakes_of(limiter: Limiter) -> Iterator[tuple[str, str]]:
    if not limiter.name:
        yield "name", "is needed"
    for key, value in (
        ("precedence", limiter.precedence),
        ("limit.rate", limiter.limit.rate),
        ("limit.burst", limiter.limit.burst),
    ):
        if value <= 0:
            yield key, "a whole number of at least 1 is needed"
    for key, word, words in (
        ("match.type", limiter.match.type.strip(), _TYPES),
        ("limit.period", limiter.limit.period, tuple(PERIODS_S)),
        ("action.warn_action", limiter.action.warn_action, _WARNINGS),
        ("action.hard_action", limiter.action.hard_action, _ACTIONS),
    ):
        if word not in words:
            yield key, f"one of {', '.join(words)} is needed"
