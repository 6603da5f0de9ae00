"""A server on a directory's port that takes connections and answers nothing of use: never, cut, or a byte at a time."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Manner = Literal["silent", "cut", "dripping"]

_HEAD = b"\x30\x84\x7f\xff\xff\xff"
"""The beginning of a message that has two gigabytes."""
_DRIP_S = 0.05


@dataclass(slots=True)
class RudeDirectory:
    """A server that runs."""

    port: int
    manner: Manner
    connections: list[socket.socket] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released once for each connection."""
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.arrived.release()
            if self.manner == "cut":
                connection.recv(1)
                connection.close()
            elif self.manner == "dripping":
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(_HEAD)
            while not self.ended.wait(_DRIP_S):
                connection.sendall(b"\0")

    def hang_up(self) -> None:
        """End all connections that there are."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


@contextmanager
def rude_directory(manner: Manner) -> Iterator[RudeDirectory]:
    """Run one until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = RudeDirectory(int(listener.getsockname()[1]), manner)
        thread = threading.Thread(target=found.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.ended.set()
            found.hang_up()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
