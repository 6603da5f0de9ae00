"""Threads that wait for the disk on behalf of an event loop.

An executor of the standard library does more than that for each call: two futures, three locks and a condition, which
together cost as much as the call. Here a call is one object in one queue, and one wake-up of the loop when it is over.

Calls are handed over when the event loop has done what it had to do before: a thread that wakes up earlier finds the
interpreter's lock taken, and both processors have to switch twice. Source: ADR 0168.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class CallThreads:
    """Threads of one event loop, made when they are needed, up to *limit*.

    They end with the process: if nothing is lost by that, :meth:`close` need not be called.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._calls: SimpleQueue[ThreadCall | None] = SimpleQueue()
        self._kept: list[ThreadCall] = []  # Until the event loop has done what comes before them.
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call in a thread, and return what it returns or raise what it raises.

        A caller that is cancelled is held until the call is over, if it has begun: nothing changes behind the back of
        whoever comes next. One that has not begun is never made.
        """
        made: _T = await self.submit(call, *args, **kwargs).result()
        return made

    def submit(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> "ThreadCall":
        """Have it called in a thread.

        Raises:
            RuntimeError: :meth:`close` was called.
        """
        if self._limit == 0:
            msg = "the threads have ended"
            raise RuntimeError(msg)
        made = ThreadCall(self, lambda: call(*args, **kwargs))
        self._unfinished += 1
        if self._unfinished > len(self._threads) < self._limit:
            thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        if not self._kept:
            made.loop.call_soon(self._hand_over)
        self._kept.append(made)
        return made

    def count_end(self) -> None:
        """Count a call that is over."""
        self._unfinished -= 1

    async def close(self) -> None:
        """Wait for all calls, and end the threads. No more calls are taken."""
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def join() -> None:
            for thread in self._threads:
                thread.join()
            loop.call_soon_threadsafe(tell)

        def tell() -> None:
            if not over.done():
                over.set_result(None)

        self._limit = 0
        self._hand_over()
        for _ in self._threads:
            self._calls.put(None)
        threading.Thread(target=join, name=f"{self._name}_end", daemon=True).start()
        await over

    def _hand_over(self) -> None:
        for made in self._kept:
            self._calls.put(made)
        self._kept.clear()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()
            del call  # Or else what it holds would live until the next one.


class ThreadCall:
    """A call in a thread."""

    __slots__ = (
        "_call",
        "_end",
        "_future",
        "_has_begun",
        "_is_over",
        "_is_told",
        "_lock",
        "_threads",
        "_told",
        "loop",
    )

    def __init__(self, threads: CallThreads, call: Callable[[], object]) -> None:
        self._threads = threads
        self.loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self.loop.create_future()
        self._told: asyncio.Future[None] | None = None
        self._is_told = False
        self._lock = threading.Lock()  # What is below belongs to the thread as well.
        self._call: Callable[[], object] | None = call
        self._has_begun = False
        self._is_over = False
        self._end: Callable[[], object] | None = None

    async def result(self) -> Any:  # noqa: ANN401 - it is whatever the call returns
        """Wait for the end: see :meth:`CallThreads.run`."""
        try:
            return await self._future
        except asyncio.CancelledError:
            if not self._given_up():
                while not self._is_told:
                    self._told = self.loop.create_future()
                    with contextlib.suppress(asyncio.CancelledError):
                        await self._told
            raise

    def _given_up(self) -> bool:
        """See that it is never made, and is over, if it has not begun; return whether that is so."""
        with self._lock:
            if self._has_begun:
                return False
            self._call, self._is_over = None, True
            end, self._end = self._end, None
        if end is not None:
            end()
        return True

    def at_end(self, act: Callable[[], object]) -> None:
        """Do *act* when the call is over: now, or then in its thread."""
        with self._lock:
            if not self._is_over:
                self._end = act
                return
        act()

    def make(self) -> None:
        """Make the call, in a thread, unless its caller has gone before."""
        with self._lock:
            call, self._call, self._has_begun = self._call, None, True
        result, error = None, None
        if call is not None:
            try:
                result = call()
            except BaseException as exc:  # noqa: BLE001 - whoever waits gets it
                error = exc
        with self._lock:
            self._is_over, end, self._end = True, self._end, None
        if end is not None:
            end()
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits.
            self.loop.call_soon_threadsafe(self._tell, result, error)

    def _tell(self, result: object, error: BaseException | None) -> None:
        self._threads.count_end()
        self._is_told = True
        if self._told is not None and not self._told.done():
            self._told.set_result(None)
        if self._future.done():
            return
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)
