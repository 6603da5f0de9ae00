"""The socket of a connection, used past its transport for one answer, so that the kernel moves the bytes.

uvloop has no ``sendfile`` and no ``splice``. So a duplicate of the socket is used, which the loop may watch; the loop
keeps the original, and still notices when the client hangs up.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from typing import Self

from moorage.web.bodies import STALL_S, ClientGone
from moorage.web.connection import Connection

_TURN_BYTES = 4 << 20
"""After so many bytes to one client that takes them at once, let others have the event loop."""
_PIPE_BYTES = 1 << 20
"""Bytes that the kernel keeps between two sockets: with fewer it costs half as much again."""
_NO_SPLICE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.EMFILE, errno.ENFILE})
"""Errors that say that the kernel does not do it, or has no pipe left for it."""
_AT_ONCE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Lane:
    """The way of one answer to its client.

    Args:
        transport: of the connection, which has nothing left to send.
        connection: is asked to tell when the client is gone.
    """

    def __init__(self, transport: asyncio.Transport, connection: asyncio.BaseProtocol) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._connection = connection
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._pipe: tuple[int, int] | None = None
        self._can_splice = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        for end in self._pipe or ():
            os.close(end)

    async def send(self, data: bytes, *, is_last: bool = False) -> None:
        """Send a head; the kernel keeps it until the first bytes behind it, so that both go in one segment."""
        while data:
            try:
                data = data[self._socket.send(data, 0 if is_last else socket.MSG_MORE) :]
            except BlockingIOError:
                await self._writable()

    async def write(self, data: bytes) -> None:
        """Send *data*, of which nothing is kept.

        Raises:
            ClientGone: the client hung up, or takes nothing.
        """
        rest = memoryview(data)
        with _of_the_client():
            while rest:
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    await self._writable()

    async def send_file(self, fileno: int, start: int, end: int) -> None:
        """Send a part of a file."""
        turn_ends = start + _TURN_BYTES
        while start < end:
            try:
                sent = os.sendfile(self._socket.fileno(), fileno, start, end - start)
            except BlockingIOError:
                await self._writable()
                continue
            if not sent:
                msg = "the file is shorter than it was"
                raise OSError(msg)
            start += sent
            if start >= turn_ends:
                turn_ends = start + _TURN_BYTES
                await asyncio.sleep(0)

    async def splice(self, source: socket.socket, count: int, *, idle_s: float) -> int:
        """Send *count* bytes that come out of *source*; return how many did, fewer if it ends, breaks or falls silent.

        Args:
            source: has nothing but these bytes to give, and does not block.
            count: of bytes.
            idle_s: the longest that it may give nothing.

        Raises:
            ClientGone: the client hung up, or takes nothing.
        """
        passed, turn_ends = 0, _TURN_BYTES
        while passed < count:
            try:
                taken = await self._pass_on(source, min(count - passed, _PIPE_BYTES))
            except BlockingIOError:
                if not await self._readable(source, idle_s):
                    break
                continue
            except OSError:
                break
            if not taken:
                break
            passed += taken
            if passed >= turn_ends:
                turn_ends = passed + _TURN_BYTES
                await asyncio.sleep(0)
        return passed

    async def _pass_on(self, source: socket.socket, count: int) -> int:
        """Send what *source* has, up to *count* bytes. Nothing that was taken out of it is left when this is done."""
        if self._can_splice:
            try:
                into, out = self._open_pipe()
                taken = os.splice(source.fileno(), into, count, flags=_AT_ONCE)
            except OSError as exc:
                if exc.errno not in _NO_SPLICE:
                    raise
                self._can_splice = False
            else:
                await self._empty(out, taken)
                return taken
        data = source.recv(count)
        await self.write(data)
        return len(data)

    async def _empty(self, out: int, held: int) -> None:
        with _of_the_client():
            while held:
                try:
                    held -= os.splice(out, self._socket.fileno(), held, flags=_AT_ONCE)
                except BlockingIOError:
                    await self._writable()

    def _open_pipe(self) -> tuple[int, int]:
        """Return the pipe's end to write to, and that to read from."""
        if self._pipe is None:
            out, into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            self._pipe = into, out
            with contextlib.suppress(OSError):  # A user may have so many pages in pipes only.
                fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return self._pipe

    async def _writable(self) -> None:
        fileno = self._socket.fileno()
        try:
            await self._ready(self._loop.add_writer, self._loop.remove_writer, fileno, STALL_S)
        except TimeoutError as exc:
            raise ClientGone from exc

    async def _readable(self, source: socket.socket, idle_s: float) -> bool:
        """Wait until *source* has something; return False if it takes too long."""
        try:
            await self._ready(self._loop.add_reader, self._loop.remove_reader, source.fileno(), idle_s)
        except TimeoutError:
            return False
        return True

    async def _ready(
        self, watch: Callable[[int, Callable[[], None]], object], leave: Callable[[int], object], fileno: int, s: float
    ) -> None:
        if self._transport.is_closing():
            raise ClientGone
        ready: asyncio.Future[None] = self._loop.create_future()
        watch(fileno, _settle(ready, None))
        if isinstance(self._connection, Connection):
            self._connection.on_lost = _settle(ready, ClientGone())
        try:
            async with asyncio.timeout(s):
                await ready
        finally:
            leave(fileno)
            if isinstance(self._connection, Connection):
                self._connection.on_lost = None


@contextlib.contextmanager
def _of_the_client() -> Iterator[None]:
    """Tell errors of the client's socket as :class:`ClientGone`; no other socket is used in the block."""
    try:
        yield
    except OSError as exc:
        raise ClientGone from exc


def _settle(ready: "asyncio.Future[None]", failure: Exception | None) -> Callable[[], None]:
    def settle() -> None:
        if ready.done():
            return
        if failure is None:
            ready.set_result(None)
        else:
            ready.set_exception(failure)

    return settle
