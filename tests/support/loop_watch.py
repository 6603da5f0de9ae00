"""A watchdog on event loops: whoever keeps one busy for long, without letting others have a turn, is written down.

What counts is the CPU time of the loop's thread between two heartbeats, and not the clock's: a busy machine makes no
work longer. It works with any loop, and in daemons too: ``site/sitecustomize.py`` brings it into their workers.
"""

import asyncio
import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

VARIABLE = "MOORAGE_TESTS_LOOP_WATCH"
"""Names the file that is written to. Only tests have it: the registry knows nothing of a watch."""

LIMIT_S = 0.1
"""Five times what is aimed at: a crowded machine's caches make work longer, and what is looked for takes seconds."""

_LIMIT_VARIABLE = "MOORAGE_TESTS_LOOP_LIMIT"
_BEAT_S = 0.005
_LOOK_S = 0.02


def environment(path: Path, *, limit_s: float = LIMIT_S) -> Mapping[str, str]:
    """What a daemon needs in its environment to be watched."""
    tests = Path(__file__).parent.parent
    folders = f"{tests / 'support' / 'site'}{os.pathsep}{tests}"
    return {VARIABLE: str(path), _LIMIT_VARIABLE: str(limit_s), "PYTHONPATH": folders}


class LoopWatch:
    """Watches one loop; made in a callback of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: str) -> None:
        self._loop = loop
        self._path = path
        self._limit_s = float(os.environ.get(_LIMIT_VARIABLE, LIMIT_S))
        self._thread = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._thread)
        self._beaten_s = time.thread_time()
        self._collected_s = 0.0
        self._collection_began_s = 0.0
        self._stack = ""
        gc.callbacks.append(self._collects)
        self._beat()
        threading.Thread(target=self._look, name="loop-watch", daemon=True).start()

    def _beat(self) -> None:
        now_s = time.thread_time()
        taken_s = now_s - self._beaten_s - self._collected_s
        if taken_s > self._limit_s:
            _write(self._path, f"{taken_s:.3f} s of CPU time at once on an event loop:\n{self._stack or _ONE_CALL}\n")
        self._beaten_s, self._collected_s, self._stack = now_s, 0.0, ""
        self._loop.call_later(_BEAT_S, self._beat)

    def _look(self) -> None:
        """Remember where the loop is when it has been at it for half of what is allowed."""
        while not self._loop.is_closed():
            try:
                taken_s = time.clock_gettime(self._clock) - self._beaten_s - self._collected_s
            except OSError:  # The thread has ended.
                break
            frame = sys._current_frames().get(self._thread) if taken_s > self._limit_s / 2 and not self._stack else None
            if frame is not None:
                self._stack = "".join(traceback.format_stack(frame, limit=30))
            time.sleep(_LOOK_S)
        gc.callbacks.remove(self._collects)

    def _collects(self, phase: str, info: Mapping[str, int]) -> None:
        """Leave out what Python's garbage collection takes: the heap it walks may be that of all tests."""
        del info
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._collection_began_s = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._collection_began_s


_ONE_CALL = "(no stack: it was one call that let no other thread look)"


def watch_if_asked(loop: asyncio.AbstractEventLoop) -> None:
    """Watch *loop*, which runs this, if the environment says where to write."""
    if path := os.environ.get(VARIABLE):
        LoopWatch(loop, path)


def watch_workers() -> None:
    """From now on, watch the loop of each worker that this process becomes."""
    run = asyncio.Runner.run

    def watched(runner: asyncio.Runner, work: Coroutine[Any, Any, Any], **options: Any) -> Any:  # noqa: ANN401 - the same as Runner.run
        if getattr(work, "__name__", "") == "_serve":  # Whoever else runs a loop keeps nobody waiting.
            loop = runner.get_loop()
            loop.call_soon(watch_if_asked, loop)
        return run(runner, work, **options)

    asyncio.Runner.run = watched  # type: ignore[method-assign,assignment]


def _write(path: str, text: str) -> None:
    """One write, as several workers share the file."""
    with Path(path).open("ab", buffering=0) as file:
        file.write(text.encode())
