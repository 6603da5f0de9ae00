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
        os.set_inheritable(fileno, True)  # noqa: FBT003 - its own name says what it is


class SharedMemory:
    """Memory that a process shares with all that it forks, and with the program that it becomes.

    Pickled, it is handed on: what is unpickled in the next program is the same memory.
    """

    def __init__(self, size_bytes: int) -> None:
        self._take(_made(size_bytes), size_bytes)

    def _take(self, fileno: int, size_bytes: int) -> None:
        self._fileno = fileno
        self.memory = mmap.mmap(fileno, size_bytes)
        if fileno >= 0:
            weakref.finalize(self, os.close, fileno)

    def become(self, other: "SharedMemory") -> None:
        """Be the *other* memory from now on."""
        self._other = other  # Its file stays open with it.
        self._fileno, self.memory = other._fileno, other.memory

    def __reduce__(self) -> tuple[object, tuple[int, int]]:
        if self._fileno < 0:
            msg = "this system has no memory that can be handed on"
            raise pickle.PicklingError(msg)
        hand_on(self._fileno)
        return _found, (self._fileno, len(self.memory))


def _found(fileno: int, size_bytes: int) -> SharedMemory:
    shared = SharedMemory.__new__(SharedMemory)
    shared._take(fileno, size_bytes)  # noqa: SLF001 - it is made here, as the class makes it
    return shared


def _made(size_bytes: int) -> int:
    """A file in memory; -1: the system has none, or does not let us."""
    try:
        fileno = os.memfd_create("moorage", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        return -1
    os.ftruncate(fileno, size_bytes)
    return fileno
