"""One connection over TLS: a transport for the protocol above it, and the protocol of the socket's own transport.

The event loops have the like. This one has two buffers for all connections of a process, tells refused clients why,
knows one half of a connection from the other, and gives what is encrypted to the socket without a detour.
Source: ADR 0137.
"""

import asyncio
import contextlib
import functools
import os
import re
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any, cast

from moorage.telemetry import get_log
from moorage.web.diverted import EncryptedWay

_log = get_log("tls")

PART_BYTES = 7 << 14
"""Bytes that are encrypted or decrypted at once: whole records, that with all around them are less than 128 KiB.

They stay in the processor's cache from one step to the next.
"""

_TAKEN_BYTES = 128 << 10
"""Bytes that are taken from a socket at once."""

_HANDSHAKE_S = 60.0
"""Seconds that a client may take for the handshake."""

_END_S = 30.0
"""Seconds that a client may take to read the rest, and to end its half, once the connection has ended here."""

_NO_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE"})
"""Failures with a client that does not speak TLS, and would not understand an alert."""

_FIRST_BYTES = 16
_HTTP = re.compile(rb"[A-Z]{1,16}([ ]|\Z)")
"""The beginning of a request; TLS begins with a byte that is no letter."""

_SPEAK_HTTPS_BODY = b'{"errors":[{"code":"UNSUPPORTED","message":"this port speaks HTTPS: use https://"}]}'
_SPEAK_HTTPS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_SPEAK_HTTPS_BODY), _SPEAK_HTTPS_BODY)

BeginTLS = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]
"""Makes the server's end of a connection from what comes in and what goes out."""


class EncryptedTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """A connection over TLS.

    The protocol above learns of it when the handshake is done. If the client ends its half by TLS's own word for it,
    the protocol's ``eof_received`` says whether answers are still to come; if it ends its half of TCP, all is over.
    While anything waits for the client, the protocol is told to write nothing.

    Args:
        above: speaks over it.
        begin: is called once the client is there.
    """

    _below: asyncio.Transport
    _descriptor: int
    _tls: ssl.SSLObject

    def __init__(self, above: asyncio.Protocol, begin: BeginTLS) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._above = above
        self._begin = begin
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._first = b""
        self._deadline: asyncio.TimerHandle | None = None
        self.is_shaking = True
        """True until the handshake has ended, well or not."""
        self._is_open = False
        """True from then on until the end has begun."""
        self._guard = threading.Lock()
        """Held by whoever uses OpenSSL: what the socket is lent for is decrypted in a thread."""
        self._is_told = False
        """True if the protocol above knows of the connection."""
        self._is_paused = False
        """True if the protocol wants nothing more now."""
        self._is_stopped = False
        """True if nothing more is taken from the socket: what came since then is kept encrypted."""
        self._is_full = False
        """True if something waits for the client."""
        self._has_ended = False
        """True if the client has ended its half of TLS."""
        self._is_end_told = False
        self._is_cut_off = False
        """True if the client has ended TCP's half, and what came before is still to be passed on."""

    # What the socket's transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's first message."""
        self._below = cast("asyncio.Transport", transport)
        self._below.set_write_buffer_limits(high=1)
        self._descriptor = self._below.get_extra_info("socket").fileno()
        self._tls = self._begin(self._incoming, self._outgoing)
        self._deadline = self._loop.call_later(_HANDSHAKE_S, self.abort)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend the one buffer of all connections: what it takes is passed on before another one asks."""
        del sizehint
        return _buffers()[0]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        if self._is_open:
            self._incoming.write(memoryview(_buffers()[0])[:nbytes])
            if not self._is_paused:
                self._read()
            elif not self._is_stopped:  # Often the protocol goes on at once, so the socket is told only now.
                self._is_stopped = True
                self._below.pause_reading()
        elif self.is_shaking:
            self._incoming.write(memoryview(_buffers()[0])[:nbytes])
            self._first = self._first or bytes(_buffers()[0][: min(nbytes, _FIRST_BYTES)])
            self._shake()

    def eof_received(self) -> bool:
        """End when all that came is passed on; a client that had ended its half of TLS before still gets answers."""
        self._read()
        self._is_cut_off = self._is_open and self._is_paused
        return self._is_cut_off or (self._is_open and self._has_ended)

    def pause_writing(self) -> None:
        """Tell the protocol that the client does not take what there is."""
        self._is_full = True
        if self._is_told:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """Tell the protocol that the client has taken all."""
        self._is_full = False
        if self._is_told:
            self._above.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol."""
        self._is_open = self.is_shaking = False
        self._stop_clock()
        if self._is_told:
            self._above.connection_lost(exc)

    # What the protocol above calls.

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - whatever is asked for
        """Return what is known of the connection, under asyncio's names."""
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        if name == "peercert":
            return self._tls.getpeercert()
        if name == "cipher":
            return self._tls.cipher()
        return self._below.get_extra_info(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._above

    def is_closing(self) -> bool:
        """Return whether nothing more is sent."""
        return not self._is_open or self._below.is_closing()

    def is_reading(self) -> bool:
        """Return whether what comes is passed on."""
        return self._is_open and not self._is_paused

    def pause_reading(self) -> None:
        """Pass nothing more on, and let the client wait."""
        self._is_paused = True

    def lend(self) -> EncryptedWay:
        """Take nothing from the socket until :meth:`resume_reading`; return the way for who does meanwhile."""
        self._is_paused = True
        if not self._is_stopped:
            self._is_stopped = True
            self._below.pause_reading()
        return EncryptedWay(self._tls, self._incoming, self._guard, self._settle)

    def resume_reading(self) -> None:
        """Go on with what came meanwhile."""
        if self._is_paused:
            self._is_paused = False
            self._go_on()
            self._loop.call_soon(self._read)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Change nothing: the protocol is paused as soon as something waits."""

    def get_write_buffer_size(self) -> int:
        """Return the number of encrypted bytes that wait for the client."""
        return self._below.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """Return False: the end of a half is the end."""
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt *data*, of which nothing is kept, and send it."""
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt all of them, and send them together."""
        if self.is_closing():
            return
        with self._guard:
            for data in list_of_data:
                for start in range(0, len(data), PART_BYTES):  # Not once for what is empty.
                    if start:
                        self._send()
                    self._tls.write(memoryview(data)[start : start + PART_BYTES])
            self._send()

    def write_file(self, head: bytes, fileno: int, start: int, end: int) -> int:
        """Encrypt and send *head* and a part of a file, until something waits for the client; return where it ended.

        Raises:
            OSError: the file cannot be read, or is shorter.
        """
        plain = memoryview(_buffers()[1])
        if head:
            self._tls.write(head)
        while start < end:
            part = plain if end - start >= PART_BYTES else plain[: end - start]
            count = os.preadv(fileno, [part], start)
            if not count:
                msg = "the file is shorter than it was"
                raise OSError(msg)
            self._tls.write(part if count == len(part) else part[:count])
            start += count
            self._send()
            if self._is_full or not self._is_open:
                break
        return start

    def close(self) -> None:
        """End when all is sent; until then, and until the client ends too, what it sends is thrown away."""
        if self._is_open:
            with self._guard:
                with contextlib.suppress(ssl.SSLError):  # Our word is out; the client's is not waited for here.
                    self._tls.unwrap()
                self._send()
            self._is_open = False
            self._leave()

    def abort(self) -> None:
        """End at once."""
        self._is_open = self.is_shaking = False
        self._below.abort()

    # The handshake.

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._send()
        except ssl.SSLError as exc:
            self._refuse(exc)
        else:
            self._send()
            self._stop_clock()
            self.is_shaking, self._is_open, self._is_told = False, True, True
            self._above.connection_made(self)
            if self._is_full:
                self._above.pause_writing()
            self._loop.call_soon(self._read)  # What the protocol has to begin comes first.

    def _refuse(self, exc: ssl.SSLError) -> None:
        """Tell a client why: in TLS, or if it speaks plain HTTP in its own language."""
        self.is_shaking = False
        if _HTTP.match(self._first):
            _log.debug("a client speaks plain HTTP to a port for HTTPS")
            self._below.write(_SPEAK_HTTPS)
        else:
            _log.info("a client was refused in the TLS handshake", reason=_said(exc))
            if exc.reason in _NO_TLS:
                self._below.close()
                return
            self._send()
        self._leave()

    # Both ways.

    def _read(self) -> None:
        """Pass on what came, as long as it is taken."""
        is_more = True
        while is_more and self._is_open and not self._is_paused:
            plain = memoryview(_buffers()[1])
            try:
                count, is_more = self._decrypt(plain)
            except ssl.SSLError as exc:
                _log.debug("what a client sent cannot be decrypted", reason=_said(exc))
                self._send()  # Maybe an alert.
                self.abort()
                return
            self._settle()
            if count:
                self._above.data_received(bytes(plain[:count]))
        if self._is_open and not self._is_paused:
            self._pass_end_on()

    def _pass_end_on(self) -> None:
        if self._has_ended and not self._is_end_told:
            self._is_end_told = True
            if not self._above.eof_received():
                self.close()
        elif self._is_cut_off and not self._has_ended:
            self._below.close()

    def _decrypt(self, plain: memoryview) -> tuple[int, bool]:
        """Decrypt as much as there is room for; return how much that was, and whether there may be more."""
        count = 0
        try:
            while count < len(plain):
                taken = self._tls.read(len(plain) - count, cast("Any", plain[count:] if count else plain))
                if not taken:
                    self._has_ended = True
                    return count, False
                count += cast("int", taken)
        except ssl.SSLWantReadError:
            return count, False
        return count, True

    def _settle(self) -> None:
        if self._outgoing.pending:  # The answer to a new key.
            self._send()

    def _send(self) -> None:
        """Give the socket what is encrypted: at once if nothing waits for it yet."""
        data = self._outgoing.read()
        if not data or self._below.is_closing():
            return
        sent = 0
        if not self._below.get_write_buffer_size():
            with contextlib.suppress(OSError):  # The transport finds it again, and knows what to do.
                sent = os.write(self._descriptor, data)
        if sent < len(data):
            self._below.write(memoryview(data)[sent:] if sent else data)

    # The end.

    def _leave(self) -> None:
        """Wait for the client's end for a while: bytes that nobody reads would take from it what was sent last."""
        self._stop_clock()
        if self._below.is_closing():
            return
        if self._has_ended:
            self._below.close()
            return
        self._go_on()
        self._below.write_eof()
        self._deadline = self._loop.call_later(_END_S, self.abort)

    def _go_on(self) -> None:
        if self._is_stopped and not self._below.is_closing():
            self._is_stopped = False
            self._below.resume_reading()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@functools.cache
def _buffers() -> tuple[bytearray, bytearray]:
    """The buffers of this process, for what comes from a socket, and for what is not encrypted."""
    return bytearray(_TAKEN_BYTES), bytearray(PART_BYTES)


def _said(exc: ssl.SSLError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"client certificate: {exc.verify_message}"
    return (exc.reason or str(exc)).replace("_", " ").lower()
