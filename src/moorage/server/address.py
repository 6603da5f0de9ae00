"""Addresses to listen on, as Go writes them, and their sockets."""

import contextlib
import errno
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import need_of

_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Address to listen at: ``host:port``, ``:port`` for every interface, or a path with ``net: unix``."""

    text: str
    is_unix: bool = False
    key: str = "http.addr"
    """The configuration's key that has it."""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The two parts of a TCP address.

        Raises:
            ConfigurationError: it has no port.
        """
        host, colon, port = self.text.rpartition(":")
        if not colon or not port.isdecimal() or not port.isascii() or int(port) > 65535:  # noqa: PLR2004 - the largest
            msg = f"{self.text!r} is no address; write host:port, such as 127.0.0.1:5000"
            raise ConfigurationError([Mistake(self.key, msg)])
        return host.strip("[]"), int(port)

    def bind(self, count: int) -> list[socket.socket]:
        """Listening sockets, one for each of *count* workers; for a path, one for all.

        Raises:
            ConfigurationError: the address is in use, or not ours.
        """
        try:
            return [_bind_unix(self.text)] if self.is_unix else _bind_tcp(*self.host_and_port, count)
        except UnicodeError:
            msg = f"{self.text!r} is no address; write host:port, such as 127.0.0.1:5000"
            raise ConfigurationError([Mistake(self.key, msg)]) from None
        except OSError as exc:
            msg = f"cannot listen on {self.text}: {exc.strerror or exc}{self._advice(exc)}"
            raise ConfigurationError([Mistake(self.key, msg)]) from exc

    def _advice(self, exc: OSError) -> str:
        """Return advice on what to do about it; empty: none."""
        match exc.errno:
            case errno.EADDRINUSE:
                return "; is another registry running there?"
            case errno.EACCES | errno.EPERM if self.is_unix:
                return f"; {need_of(Path(self.text).parent, 'write')}"
            case errno.EACCES | errno.EPERM:
                return "; a port below 1024 needs CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=), or take 5000"
            case errno.EADDRNOTAVAIL:
                return "; this machine has no such address, or not yet"
        return ""


def _bind_tcp(host: str, port: int, count: int) -> list[socket.socket]:
    family, _, _, _, target = _resolve(host, port)
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            listener = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if len(sockets) > 1:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6 and not host:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            _bind_one(listener, sockets[0], target)
            if len(sockets) == 1:
                # Bound alone, it would have failed had anybody been there; from now on its brothers may join.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for listener in sockets:
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def _bind_one(
    listener: socket.socket, first: socket.socket, target: tuple[str, int] | tuple[str, int, int, int]
) -> None:
    if listener is not first and target[1] == 0:
        target = (target[0], first.getsockname()[1], *target[2:])
    listener.bind(target)


def _resolve(host: str, port: int) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    if not host:
        family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        return family, 0, 0, "", ("::", port, 0, 0) if family == socket.AF_INET6 else ("0.0.0.0", port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0]  # type: ignore[return-value]  # bytes are for other families


def _bind_unix(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            Path(path).unlink()  # What a killed server left; a living one would be asked by its administrator.
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError:
        listener.close()
        raise
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener
