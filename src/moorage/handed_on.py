"""Memory and files that a process hands on to the program that it becomes, where they are found by their numbers.

``exec`` ends a program and keeps its process: its children, its number and the files that are to be kept.
"""

import mmap
import os
import pickle
import weakref


def hand_on(*filenos: int) -> None:
    """Have open files stay open when this process becomes another program."""
    for fileno in filenos:
        os.set_inheritable(fileno, True)


class SharedMemory:
    """Memory that a process shares with all that it forks, and with the program that it becomes.

    Pickled, it is handed on: what is unpickled in the next program is the same memory.
    """

    def __init__(self, size_bytes: int, *, fileno: int | None = None) -> None:
        """*fileno*: where it is found, if it was handed on."""
        self.fileno = _made(size_bytes) if fileno is None else fileno
        """Its file; -1: it has none, and cannot be handed on."""
        self.memory = mmap.mmap(self.fileno, size_bytes)
        self._others: list[SharedMemory] = []
        if self.fileno >= 0:
            weakref.finalize(self, os.close, self.fileno)

    def become(self, other: "SharedMemory") -> None:
        """Be the *other* memory from now on."""
        self._others.append(other)  # Its file stays open as long as it lives.
        self.fileno, self.memory = other.fileno, other.memory

    def __reduce__(self) -> tuple[object, tuple[int, int]]:
        if self.fileno < 0:
            msg = "this system has no memory that can be handed on"
            raise pickle.PicklingError(msg)
        hand_on(self.fileno)
        return _found, (self.fileno, len(self.memory))


def _found(fileno: int, size_bytes: int) -> SharedMemory:
    return SharedMemory(size_bytes, fileno=fileno)


def _made(size_bytes: int) -> int:
    """A file in memory; -1: the system has none, or does not let us."""
    try:
        fileno = os.memfd_create("moorage", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        return -1
    os.ftruncate(fileno, size_bytes)
    return fileno
