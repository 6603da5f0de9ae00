"""Processes of a server under test: its children, and signals to several of which any may have ended."""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTENING = "0A"
"""The state of a socket in the kernel's tables."""


def children_of(pid: int) -> list[int]:
    """Return the children that *pid* has now; none if it is gone itself."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(word) for word in text.split()]


def listens(pid: int, port: int) -> bool:
    """Return whether a server, or a process below it, takes connections to a TCP port; somebody else's do not count."""
    return any(_has_any(pid, _sockets_at(pid, port, table)) for table in ("tcp", "tcp6"))


def signal_each(pids: Iterable[int], number: signal.Signals) -> None:
    """Send *number* to each that is still there: a server's child may end at any moment, the server at some."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def is_running(pid: int) -> bool:
    """Return whether the process is there, and not only waiting for its parent to take note of its end."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def freeze(pid: int) -> list[int]:
    """Stop a server and its children, and return them all: sockets stay open, and nobody answers."""
    os.kill(pid, signal.SIGSTOP)  # First, as it makes the others.
    pids = [pid, *children_of(pid)]
    signal_each(pids[1:], signal.SIGSTOP)
    return pids


def thaw(pid: int) -> None:
    """Let a server and its children go on."""
    signal_each([pid, *children_of(pid)], signal.SIGCONT)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Keep a server and its children stopped within the block."""
    try:
        freeze(pid)
        yield
    finally:
        thaw(pid)


def _has_any(pid: int, sockets: set[str]) -> bool:
    return bool(sockets) and (
        not sockets.isdisjoint(_open_files(pid)) or any(_has_any(c, sockets) for c in children_of(pid))
    )


def _sockets_at(pid: int, port: int, table: str) -> set[str]:
    """The sockets that listen at a port, in the network that *pid* is in: a table of proc_net(5).

    Those that listen come first, and connections, of which there may be thousands, are left unread.
    """
    found = set()
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/net/{table}").open() as rows:  # The process may have ended.
        next(rows, None)
        for row in rows:
            _, address, _, state, *more = row.split()
            if state != _LISTENING:
                break
            if address.endswith(f":{port:04X}"):
                found.add(f"socket:[{more[5]}]")
    return found


def _open_files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # It was closed meanwhile.
                found.add(str(file.readlink()))
    return found
