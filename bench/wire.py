"""A relay between a server and its database that counts round trips: what was on the wire, whoever put it there."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

_PIECE_BYTES = 256 << 10
_POLL_S = 0.1


@dataclass(slots=True)
class Relay:
    """Passes bytes on between its own port and another one. Loopback only; meant for a few clients."""

    target_port: int
    port: int = 0
    round_trips: int = 0
    """How often some connection's client has sent something and then waited for the answer, up to now.

    Bytes of the client that follow bytes of the server begin a new round trip; what the client sends in several
    pieces before anything comes back is one.
    """
    _ends: dict[socket.socket, socket.socket] = field(default_factory=dict)
    _clients: set[socket.socket] = field(default_factory=set)
    _is_waiting: dict[socket.socket, bool] = field(default_factory=dict)

    def run(self, listener: socket.socket, stopping: threading.Event) -> None:
        """Relay until *stopping* is set."""
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while not stopping.is_set():
                for key, _ in selector.select(_POLL_S):
                    source = key.fileobj
                    if source is listener:
                        self._accept(listener, selector)
                    elif isinstance(source, socket.socket) and source in self._ends:
                        self._pass_on(source, selector)
        for end in self._ends:
            end.close()

    def _accept(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", self.target_port))
        for end, other in ((client, server), (server, client)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends[end] = other
            selector.register(end, selectors.EVENT_READ)
        self._clients.add(client)
        self._is_waiting[client] = False

    def _pass_on(self, source: socket.socket, selector: selectors.BaseSelector) -> None:
        other = self._ends[source]
        with contextlib.suppress(ConnectionError):
            if data := source.recv(_PIECE_BYTES):
                self._count(source)
                other.sendall(data)
                return
        for end in (source, other):
            selector.unregister(end)
            del self._ends[end]
            end.close()

    def _count(self, source: socket.socket) -> None:
        if source not in self._clients:
            self._is_waiting[self._ends[source]] = False
        elif not self._is_waiting[source]:
            self._is_waiting[source] = True
            self.round_trips += 1


@contextlib.contextmanager
def relaying(target_port: int) -> Iterator[Relay]:
    """Relay from a free port to *target_port* until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(target_port, int(listener.getsockname()[1]))
        stopping = threading.Event()
        thread = threading.Thread(target=relay.run, args=(listener, stopping), name="relay")
        thread.start()
        try:
            yield relay
        finally:
            stopping.set()
            thread.join()
