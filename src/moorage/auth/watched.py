"""A file that is read again when it has changed, without a signal or a restart."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from moorage.telemetry import get_log

T = TypeVar("T")

_LOOK_S = 1.0
"""Seconds between looks whether the file has changed."""

_log = get_log("auth")

_Stamp = tuple[int, int, int, int]


class Watched(Generic[T]):
    """The result of *parse* on a file's bytes, made again when the file has changed.

    A file that cannot be used, such as one that is being written, leaves what was there before.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        *,
        limit_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file.

        Raises:
            OSError: it cannot be read.
            ValueError: it has more than *limit_bytes*, or *parse* says so.
        """
        self._path = path
        self._parse = parse
        self._limit_bytes = limit_bytes
        self._monotonic = monotonic
        self._look_at = monotonic() + _LOOK_S
        self._said = ""
        """The fault of the file as it is now, which the log has already; empty: it has none."""
        self._stamp: _Stamp | None = self._stat()
        self._value = self._read()

    def get(self) -> T:
        """The value of now, as of a second ago; the same object for as long as the file is the same."""
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            stamp, before = self._stat(), self._stamp
            self._stamp = stamp
            if stamp == before:
                return
            self._value = self._read()
        except OSError as exc:
            # The file need not change when what kept it from being read ends, such as a lack of rights or open files.
            self._stamp = None
            self._complain(exc.strerror or str(exc))
        except ValueError as exc:
            self._complain(str(exc))
        else:
            self._said = ""
            _log.info("read again, as it has changed", file=str(self._path))

    def _complain(self, why: str) -> None:
        if why != self._said:
            self._said = why
            message = "a changed file cannot be used; what it said before still counts"
            _log.error(message, file=str(self._path), error=why)

    def _stat(self) -> _Stamp:
        found = os.stat(self._path)  # noqa: PTH116 - once a second, on the path of requests
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size

    def _read(self) -> T:
        with self._path.open("rb") as file:
            content = file.read(self._limit_bytes + 1)
        if len(content) > self._limit_bytes:
            msg = f"it has more than {self._limit_bytes} bytes"
            raise ValueError(msg)
        return self._parse(content)
