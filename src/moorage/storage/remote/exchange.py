"""One request to a store: a turn of the rate, a signature, a connection, and attempts until there is an answer.

What an answer means is the driver's matter; here only those that say "later" are asked for again.
"""

import math
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from yarl import URL

from moorage.errors import StorageUnavailable
from moorage.storage.base import ObjectContent, size_of
from moorage.storage.remote.attempts import (
    PASSING_STATUSES,
    THROTTLED_STATUSES,
    AttemptBudget,
    AttemptLimits,
    Attempts,
    AttemptTimes,
)
from moorage.storage.remote.pools import CONNECT_S, Pools
from moorage.storage.remote.rate import RequestRate
from moorage.storage.remote.store_watch import StoreWatch
from moorage.storage.remote.tally import NoTally, StoreTally
from moorage.telemetry import get_log

IDLE_S = 30.0
SMALL_S = 60.0
_SLOWEST_BYTES_A_SECOND = 100_000
"""A body that is sent slower than this counts as hung."""
_WRITTEN_BYTES_A_SECOND = 250_000
"""A store that writes what it was sent slower than this counts as hung. Under a crowd of pushes a disk is as slow."""
_MOST_BYTES = 16 << 20
_PIECE_BYTES = 256 << 10
LOST = (aiohttp.ClientError, TimeoutError, OSError)
"""Errors of a connection, from none at all to one that is cut."""

_log = get_log("storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCall:
    """A request, the same at each of its attempts but for what the signature adds."""

    kind: str
    """The vendor's name of it, for what is counted and logged."""
    method: str
    url: str
    """Encoded as it is sent."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: ObjectContent = field(default=b"", repr=False)
    is_bulk: bool = False
    """True for what has many bytes one way or the other, so that it waits behind its like."""
    total_s: float | None = SMALL_S
    """The time for one attempt, besides that of the body's bytes; None: as long as something comes."""
    idle_s: float = IDLE_S
    """The longest that nothing comes while we are waiting."""
    limit_bytes: int = _MOST_BYTES
    """The most that the answer may have."""
    until: float = math.inf
    """The time, by the clock of attempts, from which on none begins: for what may be done by then or not at all."""

    @property
    def more_s(self) -> float:
        """The time that an attempt may need besides the usual: for its body, and where the store works for long."""
        longest_s = max(SMALL_S, self.idle_s, self.total_s or 0.0)
        return size_of(self.body) / _WRITTEN_BYTES_A_SECOND + longest_s - SMALL_S


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    attempt: int = 1
    """The number of the attempt that had it. Behind the first, an earlier one may have done it, its answer lost."""


class Stream:
    """An answer whose body is still to come. The receiver closes it, or reads it to its end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: it was cut, or nothing came any more; see :data:`LOST`.
        """
        async for chunk in self._response.content.iter_any():
            yield chunk

    async def piece(self) -> bytes:
        """Return what has come of the body, or comes next; nothing if it has ended. Raises what :meth:`chunks` does."""
        return await self._response.content.readany()

    def take_socket(self) -> socket.socket | None:
        """Return a socket that has nothing but the rest of the body to give; the connection then ends with it.

        None if something has come already and is to be read first, or where the bytes are not sent as they are.
        """
        response, connection = self._response, self._response.connection
        protocol = None if connection is None else connection.protocol
        transport = None if protocol is None else protocol.transport
        if protocol is None or transport is None or transport.get_extra_info("sslcontext") is not None:
            return None
        if "Content-Length" not in response.headers or "Transfer-Encoding" in response.headers:
            return None
        # Paused, the parser may keep what it has not looked at; else it has given all that came to the reader.
        if protocol._reading_paused or response.content._size:  # noqa: SLF001 - nobody else knows
            return None
        protocol.pause_reading()
        protocol.force_close()
        return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))

    def close(self) -> None:
        """Let go of it, and of the connection if there is more to come."""
        self._response.close()

    def __del__(self) -> None:
        # To drop a reader is not to wait for the bytes that are on their way.
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


_R = TypeVar("_R", bound=StoreAnswer | Stream)


class AnswerTooLarge(StorageUnavailable):
    """An answer that has more bytes than are wanted."""


Sign = Callable[[StoreCall], Awaitable[Mapping[str, str]]]
"""Gives all headers of an attempt, its signature or token among them."""


def is_passing(call: StoreCall, answer: StoreAnswer) -> bool:
    """Return whether an answer says that the same request may do better a little later, by its status alone."""
    del call
    return answer.status in PASSING_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Settings and parts of an exchange that not every vendor or test has the same."""

    limits: AttemptLimits = field(default_factory=AttemptLimits)
    rate: RequestRate = field(default_factory=lambda: RequestRate(0))
    is_passing: Callable[[StoreCall, StoreAnswer], bool] = is_passing
    """Judges whether to ask again after this answer. Called once an attempt; it sees errors in a 200, too."""
    tally: StoreTally = field(default_factory=NoTally)
    times: AttemptTimes = field(default_factory=AttemptTimes)
    is_logged: bool = False
    """True if each answer is a line in the log."""


class Exchange:
    """Requests to one store.

    Args:
        pools: have the connections.
        sign: called before each attempt.
        settings: the rest.
    """

    def __init__(self, pools: Pools, sign: Sign, settings: ExchangeSettings) -> None:
        self.settings = settings
        self._watch: StoreWatch | None = None
        self._pools = pools
        self._sign = sign
        self._budget = AttemptBudget()

    def attempts(self, *, more_s: float = 0.0) -> Attempts:
        """Return the attempts for something that is to be tried again like a request."""
        return Attempts(self.settings.limits, self._budget, self.settings.times, more_s=more_s)

    async def close(self) -> None:
        """Close the connections."""
        if self._watch is not None:
            await self._watch.close()
        await self._pools.close()

    def watch(self, watch: StoreWatch) -> None:
        """Have *watch* asked before and after each request, and told of new connections."""
        self._watch = watch
        self._pools.on_connected = watch.doubt

    async def be_sure(self) -> None:
        """Return if this is the store that it was, where that is watched.

        Raises:
            StorageUnavailable: it is another one, or it does not answer.
        """
        if self._watch is not None:
            await self._watch.passed()

    async def send(self, call: StoreCall) -> StoreAnswer:
        """Ask until there is an answer, and read it whole; the last one if all of them say "later".

        Raises:
            StorageUnavailable: there was none, or it has more than ``limit_bytes``.
        """
        return await self._ask(call, _read)

    async def stream(self, call: StoreCall) -> Stream | StoreAnswer:
        """Ask until there is an answer; a good one (2xx) is left to be read, any other is read.

        Raises:
            StorageUnavailable: there was none.
        """
        return await self._ask(call, _leave_good)

    async def _ask(
        self, call: StoreCall, take: Callable[[StoreCall, aiohttp.ClientResponse, int], Awaitable[_R]]
    ) -> _R:
        attempts = self.attempts(more_s=call.more_s)
        began_at = time.perf_counter()
        try:
            while True:
                try:
                    await self.be_sure()
                    result = await self._once(call, take, attempts.number)
                except LOST as exc:
                    if not await self._again(call, attempts, _in_words(exc)):
                        msg = f"{call.kind} had no answer: {_in_words(exc)}"
                        raise StorageUnavailable(msg) from exc
                    continue
                if isinstance(result, Stream) or not self.settings.is_passing(call, result):
                    attempts.succeeded()
                    return await self._surely(result)
                if result.status in THROTTLED_STATUSES:
                    self.settings.tally.throttled(call.kind)
                if not await self._again(call, attempts, f"status {result.status}"):
                    return result
        finally:
            self.settings.tally.answered(call.kind, time.perf_counter() - began_at)

    async def _surely(self, result: _R) -> _R:
        """The answer, if it is that of the right store: its connection may have been new."""
        try:
            await self.be_sure()
        except BaseException:
            if isinstance(result, Stream):
                result.close()
            raise
        return result

    async def _again(self, call: StoreCall, attempts: Attempts, why: str) -> bool:
        number = attempts.number
        if not await attempts.again():
            return False
        self.settings.tally.tried_again(call.kind)
        _log.debug("storage is asked again", request=call.kind, attempt=number, reason=why)
        return True

    async def _once(
        self, call: StoreCall, take: Callable[[StoreCall, aiohttp.ClientResponse, int], Awaitable[_R]], number: int
    ) -> _R:
        if await self.settings.rate.take():
            self.settings.tally.throttled(call.kind)
        sent_bytes = size_of(call.body)
        headers = dict(await self._sign(call))
        if sent_bytes or call.method in ("PUT", "POST", "PATCH"):
            headers["Content-Length"] = str(sent_bytes)
        total_s = None if call.total_s is None else call.total_s + sent_bytes / _SLOWEST_BYTES_A_SECOND
        idle_s = call.idle_s + sent_bytes / _WRITTEN_BYTES_A_SECOND
        if self.settings.times.now() >= call.until:  # After all that may have been waited for.
            msg = f"{call.kind}: storage was too slow to do it in time"
            raise StorageUnavailable(msg)
        response = await self._pools.session(is_bulk=call.is_bulk).request(
            call.method,
            URL(call.url, encoded=True),
            headers=headers,
            data=_body(call.body),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_S, sock_read=idle_s),
        )
        if self.settings.is_logged:
            _log.info("storage answered", request=call.kind, url=call.url, status=response.status, attempt=number)
        try:
            return await take(call, response, number)
        except BaseException:
            response.close()
            raise


async def _read(call: StoreCall, response: aiohttp.ClientResponse, number: int) -> StoreAnswer:
    parts: list[bytes] = []
    size_bytes = 0
    async for chunk in response.content.iter_any():
        parts.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > call.limit_bytes:
            msg = f"{call.kind}: the answer has more than {call.limit_bytes} bytes"
            raise AnswerTooLarge(msg)
    response.release()
    return StoreAnswer(response.status, response.headers, b"".join(parts), number)


async def _leave_good(call: StoreCall, response: aiohttp.ClientResponse, number: int) -> StoreAnswer | Stream:
    if response.status // 100 == 2:  # noqa: PLR2004 - as HTTP numbers what went well
        return Stream(response)
    return await _read(call, response, number)


def _body(content: ObjectContent) -> bytes | AsyncIterator[bytes | memoryview] | None:
    if not isinstance(content, bytes):
        return _pieces(content)
    if len(content) <= _PIECE_BYTES:
        return content or None
    return _slices(memoryview(content))


async def _pieces(content: Sequence[bytes]) -> AsyncIterator[bytes]:
    """The pieces one by one: joining them costs several times what sending them does."""
    for piece in content:
        yield piece


async def _slices(content: memoryview) -> AsyncIterator[memoryview]:
    """Slices that the loop can turn to others between."""
    for begin in range(0, len(content), _PIECE_BYTES):
        yield content[begin : begin + _PIECE_BYTES]


def _in_words(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError):
        return "it took too long"
    return str(exc) or type(exc).__name__
