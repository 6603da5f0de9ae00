"""Checks that are made again and again, and whether the node is fit to serve by them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from moorage.errors import BackendError, StorageFull
from moorage.health.checks import HealthCheck
from moorage.health.questions import Question
from moorage.telemetry import get_log
from moorage.work.alongside import alongside
from moorage.work.loop import FAILED, WORKED, Loop, LoopPace, RoundResult

_log = get_log("health")


class HealthWatch:
    """All checks of a process. Until a check has been made for the first time, it counts as passed."""

    def __init__(
        self, checks: Sequence[HealthCheck] = (), *, observe: Callable[[str, bool], None] = lambda _name, _fails: None
    ) -> None:
        """*observe*: is told of each check that was made whether its check has the node out of service now."""
        self._failing: dict[str, str] = {}
        self._watched = [_Watched(check, self._failing, observe) for check in checks]
        self.names = frozenset(check.name for check in checks)

    @property
    def failing(self) -> Mapping[str, str]:
        """The checks that fail, each with why; by these a node takes itself out of service."""
        return self._failing

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Make all checks while a block runs."""
        return alongside(*(watched.loop.run for watched in self._watched))


class _Watched:
    def __init__(self, check: HealthCheck, failing: dict[str, str], observe: Callable[[str, bool], None]) -> None:
        self._observe = observe
        self._check = check
        self._failing = failing
        self._failures = 0
        self._question = Question(check.ask)
        self.loop = Loop(self._observed, LoopPace(interval=check.interval))

    async def _observed(self) -> RoundResult:
        found = await self._round()
        self._observe(self._check.name, self._check.name in self._failing)
        return found

    async def _round(self) -> RoundResult:
        name = self._check.name
        try:
            await self._question.put(self._check.timeout.total_seconds())
        except StorageFull:
            pass  # Pulls and deletes go on: that is no reason to stop them.
        except (BackendError, OSError, TimeoutError) as exc:
            self._failures += 1
            why = str(exc) or type(exc).__name__
            if self._failures >= self._check.threshold and self._failing.get(name) is None:
                _log.error("a health check fails; out of service until it passes", check=name, error=why)
            if self._failures >= self._check.threshold:
                self._failing[name] = why
            return FAILED
        self._failures = 0
        if self._failing.pop(name, None) is not None:
            _log.info("a health check passes again", check=name)
        return WORKED
