"""Open files: each connection is one, and services are started with few of them allowed."""

import errno
import os
import resource
import time
from collections.abc import Callable
from datetime import timedelta

from moorage.telemetry import get_log
from moorage.work.loop import Loop, every

_FEW = 4096
_NEAR = 0.9
_LOOK = timedelta(seconds=1)
_SAY_S = 60.0
"""Seconds before the same is said again."""

_log = get_log("supervisor")


def raise_open_files() -> int:
    """Let this process, and those that it forks, open as many files as they may; return how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as exc:
            _log.warning("the limit of open files cannot be raised", limit=soft, hard_limit=hard, error=str(exc))
        else:
            soft = hard
    if 0 <= soft < _FEW:
        message = "few files may be open at once, and each connection is one; raise LimitNOFILE= or ulimit -Hn"
        _log.warning(message, limit=soft)
    return soft


class OpenFiles:
    """Watch on this process's open files: warns when their number is near the limit."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._monotonic = monotonic
        self._said_at = dict[str, float]()

    def look(self) -> None:
        """Say, at most once a minute, that the limit is reached or near."""
        try:
            lowest_free = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE):
                self._say("no more files can be opened: connections are closed unanswered, and requests fail")
            return
        os.close(lowest_free)
        if 0 <= self._limit <= lowest_free / _NEAR:
            self._say("most of the files that may be open at once are; each connection is one")

    def _say(self, message: str) -> None:
        now = self._monotonic()
        if now - self._said_at.get(message, -_SAY_S) < _SAY_S:
            return
        self._said_at[message] = now
        _log.warning(message, limit=self._limit, advice="raise LimitNOFILE= or ulimit -Hn, or start more workers")


def watch_open_files() -> Loop:
    """Return the loop that looks again and again."""
    return every(_LOOK, OpenFiles().look)
