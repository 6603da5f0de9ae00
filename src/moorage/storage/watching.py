"""Notices that another file system lies where the storage was: at each write, by one look at one inode."""

import os

from moorage.errors import StorageUnavailable
from moorage.telemetry import get_log

_log = get_log("storage")


class Watch:
    """One file that says which storage this is."""

    def __init__(self, target: str, content: bytes) -> None:
        self._target = target
        self._content = content
        self._seen: tuple[int, int] | None = None
        self._is_away = False

    def check(self) -> None:
        """Look whether it is still the same storage.

        Raises:
            StorageUnavailable: it is not.
        """
        try:
            found = os.stat(self._target)  # noqa: PTH116 - on the way of every write: a Path costs more than the call
            if (found.st_dev, found.st_ino) == self._seen:
                return
            # Another inode with the same content: another node wrote it too, or the volume is back.
            is_right = self._reads_right()
        except OSError:
            found, is_right = None, False
        if found is None or not is_right:
            self._seen = None
            if not self._is_away:
                self._is_away = True
                _log.error("another storage lies where this registry's was: writes are refused", path=self._target)
            msg = f"{self._target} is not there or says something else: is the volume mounted?"
            raise StorageUnavailable(msg)
        self._seen = (found.st_dev, found.st_ino)
        if self._is_away:
            self._is_away = False
            _log.info("the storage is back", path=self._target)

    def _reads_right(self) -> bool:
        with open(self._target, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            return file.read(len(self._content) + 1) == self._content
