"""The requests of a connection, answered one after another.

aiohttp makes a task for every request and wakes another one for it, which costs more than many an answer. Here a
request without a body, or a chunk of an upload that is there, is begun where its head is found, in the name of the
connection's own task; if it has to wait for something, that task goes on with it. All others are that task's from their
beginning. Source: ADR 0126, ADR 0135, ADR 0170.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.tcp_helpers import tcp_keepalive
from aiohttp.web_protocol import _PAYLOAD_ACCESS_ERROR, ERROR, RequestHandler, _ErrInfo
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

_RequestHandler = Callable[[BaseRequest], Awaitable[StreamResponse]]
_Work = Coroutine[Any, Any, bool]
"""Answers a request; returns whether the connection goes on."""


class Turns(RequestHandler):
    """The part of a connection that has its requests answered in order."""

    __slots__ = ("_begun", "_context", "_ends", "_head_bytes", "is_retired")

    is_retired: bool
    """True if no request is taken after the one that is being answered, whose client is told so."""

    _head_bytes: int
    """Bytes of a head that is not whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin as aiohttp does, but keep the task's context: requests are begun in it, too."""
        BaseProtocol.connection_made(self, transport)
        real, server = cast("asyncio.Transport", transport), self._manager
        assert server is not None  # noqa: S101 - it is set until the connection is lost
        tcp_keepalive(real)
        server.connection_made(self, real)
        self._begun: _Rest | None = None
        self._ends: list[Callable[[], object]] = []
        self.is_retired = False
        self._head_bytes = 0
        self._renew()
        self._context = contextvars.copy_context()
        self._task_handler = self._loop.create_task(self.start(), context=self._context)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Go on with what was held back: aiohttp asks for it after each read, also where nothing was."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    @property
    def can_begin(self) -> bool:
        """Return whether the connection is idle, so that a request can be begun at once."""
        waiter = self._waiter
        return (
            waiter is not None
            and not (waiter.done() or self._messages or self._close or self._force_close or self._paused)
            and asyncio.current_task(self._loop) is None
        )

    def begin(self, message: RawRequestMessage, body: StreamReader = EMPTY_PAYLOAD) -> None:
        """Begin a request whose body, if it has one, is there; the connection must be idle."""
        task, waiter, work = self._task_handler, self._waiter, self._answer(message, body)
        assert task is not None and waiter is not None  # noqa: S101, PT018 - that is what idle means
        asyncio._enter_task(self._loop, task)  # noqa: SLF001 - documented, in "Extending asyncio"
        try:
            waits_for = self._context.run(work.send, None)
        except StopIteration as ended:
            if not ended.value:
                self._leave()
                self.close()
        except asyncio.CancelledError:
            self.close()  # What it asked for was given up, and with it the connection.
        else:
            self._begun = _Rest(work, waits_for)
            if not waiter.done():
                waiter.set_result(None)
        finally:
            asyncio._leave_task(self._loop, task)  # noqa: SLF001 - as above

    async def start(self) -> None:
        """Answer requests until the connection ends."""
        while not self._force_close:
            if self._begun is None and not self._messages:
                await self._next()
            begun, self._begun = self._begun, None
            if not await (self._turn() if begun is None else begun):
                break
        if not self._force_close:
            self._task_handler = None
            self._leave()

    async def _next(self) -> None:
        """Wait for a request."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            if self._begun is None:
                raise
            self._begun.is_cancelled = True  # It is this task's work already, and so it is what was meant.
        finally:
            self._waiter = None

    async def _turn(self) -> bool:
        """Answer the next request; return whether the connection goes on."""
        message, body = self._take()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return await self._answer(message, body)

    def retire(self, *, quiet_s: float = 0.0) -> bool:
        """Take no more than one request; return whether one has begun or may come, or an answer is on its way.

        *quiet_s*: one may come of a client that was here less than so many seconds ago, as it has not been told to ask
        elsewhere, and one of whose head a part has come; 0: none may.
        """
        self.is_retired = True
        if self.transport is None:
            return False
        if self.transport.get_write_buffer_size():
            return True  # Who closes the connection now would not know when it has gone.
        if self.transport.is_closing():
            return False
        idle_s = self._loop.time() - (self._next_keepalive_close_time - self._keepalive_timeout)
        if not self._is_idle or (quiet_s and (self._head_bytes or idle_s < quiet_s)):
            return True
        self.force_close()
        return False

    @property
    def _is_idle(self) -> bool:
        waiter = self._waiter
        return waiter is not None and not (waiter.done() or self._messages)

    def when_answered(self, act: Callable[[], object]) -> None:
        """Do *act* when the request that is being answered is over, whatever came of it."""
        self._ends.append(act)

    def _take(self) -> tuple[RawRequestMessage | _ErrInfo, StreamReader]:
        """Take the next request that was parsed."""
        message, body = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        return message, body

    async def _answer(self, message: RawRequestMessage | _ErrInfo, body: StreamReader = EMPTY_PAYLOAD) -> bool:
        """Answer one request; return whether the connection goes on."""
        made = self._made(message, body)
        if made is None:
            return False
        request, handler = made
        try:
            response, is_gone = await self._handle_request(request, None, handler)
            if is_gone:
                return False
            self._keepalive = bool(response.keep_alive)
            if body is not EMPTY_PAYLOAD:
                await self._drop_rest(body)
        except asyncio.CancelledError:
            self.force_close()
            raise
        except ConnectionError:
            return False
        except Exception as exc:  # noqa: BLE001 - the outermost, as in aiohttp
            self.log_exception("Unhandled exception", exc_info=exc)
            self.force_close()
        except BaseException:
            self.force_close()
            raise
        finally:
            if self._ends:
                self._end_all()
        goes_on = self._keepalive and not (self._close or self._force_close or self.is_retired)
        if goes_on:
            self._renew()
        return goes_on

    def _end_all(self) -> None:
        for act in self._ends:
            act()
        self._ends.clear()

    def _made(
        self, message: RawRequestMessage | _ErrInfo, body: StreamReader
    ) -> "tuple[BaseRequest, _RequestHandler] | None":
        """Make the request for a handler; None: the connection is lost."""
        server, make, handler = self._manager, self._request_factory, self._request_handler
        if server is None or make is None or handler is None:
            return None
        server.requests_count += 1
        if isinstance(message, _ErrInfo):
            handler = self._make_error_handler(message)
            message = ERROR
        task = cast("asyncio.Task[None]", self._task_handler)
        return make(message, body, self, StreamWriter(self, self._loop), task), handler

    async def finish_response(
        self, request: BaseRequest, resp: StreamResponse, start_time: float | None
    ) -> tuple[StreamResponse, bool]:
        """Write an answer; return it, and whether the client was gone."""
        if self._upgraded:  # What came behind a request to speak something else is still to be parsed.
            return await super().finish_response(request, resp, start_time)
        try:
            await resp.prepare(request)
        except ConnectionError:
            return resp, True
        return resp, False

    async def _drop_rest(self, body: StreamReader) -> None:
        """Throw away what was not read of a body, for a while; then the connection ends."""
        if not body.is_eof():
            if not self._force_close and self._lingering_time:
                try:
                    async with asyncio.timeout(self._lingering_time):
                        while not body.is_eof():
                            await body.readany()
                except TimeoutError:
                    pass
            if not body.is_eof() and not self._force_close:
                self.close()
        body.set_exception(_PAYLOAD_ACCESS_ERROR)

    def _renew(self) -> None:
        """Let the connection be idle for as long as any, from now on."""
        ends_at = self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(ends_at, self._process_keepalive)

    def _leave(self) -> None:
        if self.transport is not None:
            self.transport.close()


class _Rest:
    """Work that was begun elsewhere, for the task that goes on with it."""

    def __init__(self, work: _Work, waits_for: Any) -> None:  # noqa: ANN401 - whatever a coroutine may yield to its task
        self._work = work
        self._waits_for = waits_for
        self.is_cancelled = False

    def __await__(self) -> Generator[Any, None, bool]:
        waits_for, failure = self._waits_for, cast("BaseException | None", None)
        if self.is_cancelled:
            failure = asyncio.CancelledError()
            if waits_for is not None:
                waits_for.cancel()
        while True:
            if failure is None:
                try:
                    yield waits_for
                except BaseException as exc:  # noqa: BLE001 - it is for the work
                    failure = exc
            try:
                waits_for = self._work.send(None) if failure is None else self._work.throw(failure)
            except StopIteration as ended:
                return bool(ended.value)
            failure = None
