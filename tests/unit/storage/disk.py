"""Watches and disturbs the system calls that the file system driver makes in its threads.

It keeps a simple model of a disk with a lazy cache: a name is safe once its folder was synced after the name changed,
and bytes are safe once their file was synced after they were written. That is all that POSIX promises; most file
systems are kinder, none is less so.
"""

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

CALLS = (
    "open",
    "close",
    "pwrite",
    "fsync",
    "fstat",
    "lstat",
    "ftruncate",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
)
"""Those that can be disturbed."""

Inode = tuple[int, int]
Fault = Callable[[int, str], BaseException | None]


class Killed(BaseException):
    """The process died before this call and makes no other."""


class Disk:
    """What the driver's threads do to the folder *root*, from now to the end of the test."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.calls: list[tuple[str, str]] = []
        """Each call and the path that it was about, below the root; temporaries are called ``~``."""
        self.fault: Fault = lambda _number, _call: None
        """Asked before each call, with its number from 0: what to raise instead."""
        self.before: Callable[[str, str], None] = lambda _call, _path: None
        """Told of each call before it is made."""
        self.only_threads = True
        """False: what is called where the event loop runs is watched as well."""
        self._is_dead = False
        self._closed: set[int] = set()
        self._unsafe_names: dict[Inode, set[str]] = {}
        self._unsafe_bytes: set[Inode] = set()
        self._stat = os.stat
        self._fstat = os.fstat
        for name in CALLS:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def lost(self, path: str) -> list[str]:
        """What of an object, its bytes or a name on the way to it, a power cut now would take away."""
        found = []
        place = self.root
        for part in path.strip("/").split("/"):
            if part in self._unsafe_names.get(self._inode(place), ()):
                found.append(f"the name {part}")
            place /= part
        if self._inode(place) in self._unsafe_bytes:
            found.append("the bytes")
        return found

    def changes(self) -> list[tuple[str, str]]:
        """The calls that matter to what is safe when, in their order."""
        return [call for call in self.calls if call[0] in {"mkdir", "fsync", "rename", "link", "unlink", "rmdir"}]

    def _watched(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if self.only_threads and not threading.current_thread().name.startswith("storage"):
                return real(*args, **kwargs)
            if self._is_dead:
                self._die(name, args, real)
            path = self._path(args[-1] if name in {"rename", "link"} else args[0])
            self.before(name, path)
            failure = self.fault(len(self.calls), name)
            self.calls.append((name, path))
            if isinstance(failure, Killed):
                self._is_dead = True
                self._die(name, args, real)
            if failure is not None and not _is_close_of_what_was_only_read(name, args):
                if name == "close":
                    real(*args)  # The kernel frees the number whatever it returns.
                raise failure
            # A sync is only noted: it would be the slowest part of the tests, and no power is cut here.
            result = real(*args, **kwargs) if name != "fsync" else None
            if "dir_fd" not in kwargs:
                self._note(name, args)
            return result

        return call

    def _die(self, name: str, args: tuple[object, ...], real: Callable[..., object]) -> NoReturn:
        """Make no call; but the dead have nothing open, so close what cleaning up comes by, once."""
        if name == "close" and _number(args[0]) not in self._closed:
            self._closed.add(_number(args[0]))
            real(*args)
        raise Killed

    def _note(self, name: str, args: tuple[object, ...]) -> None:
        target = str(args[-1] if name in {"rename", "link"} else args[0])
        if name == "pwrite":
            self._unsafe_bytes.add(_key(self._fstat(_number(args[0]))))
        elif name == "fsync":
            inode = _key(self._fstat(_number(args[0])))
            self._unsafe_bytes.discard(inode)
            self._unsafe_names.pop(inode, None)
        elif name in {"mkdir", "rename", "link"} or (name == "open" and _number(args[1]) & os.O_CREAT):
            folder = self._inode(Path(target).parent)
            self._unsafe_names.setdefault(folder, set()).add(Path(target).name)

    def _inode(self, path: Path) -> Inode:
        return _key(self._stat(path))

    def _path(self, what: object) -> str:
        text = str(Path(f"/proc/self/fd/{what}").readlink()) if isinstance(what, int) else str(what)
        parts = text.removeprefix(str(self.root)).split("/")
        return "/".join("~" if part.startswith(".~") else part for part in parts) or "/"


def _is_close_of_what_was_only_read(name: str, args: tuple[object, ...]) -> bool:
    """Such a close does not fail."""
    if name != "close":
        return False
    return fcntl.fcntl(_number(args[0]), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY


def _key(found: os.stat_result) -> Inode:
    return (found.st_dev, found.st_ino)


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
