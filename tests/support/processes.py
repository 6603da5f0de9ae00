"""Processes of a server under test: its children, and signals to several of which any may have ended."""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the children that *pid* has now; none if it is gone itself."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(word) for word in text.split()]


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
