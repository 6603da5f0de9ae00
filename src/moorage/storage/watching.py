"""Notices that another file system lies where the storage was: by one look at one inode.

At each write but to an upload that is found: where that is, the storage is.
"""

import os

from moorage.errors import StorageUnavailable
from moorage.telemetry import get_log

_log = get_log("storage")


class Watch:
    """One file that says which storage this is; or, while there is none, the folder itself."""

    def __init__(self, target: str, content: bytes | None) -> None:
        """*content* None: it has to stay the file or folder that it is now.

        Raises:
            OSError: that is not there.
        """
        self._target = target
        self._content = content
        self._seen: tuple[int, int] | None = None if content is not None else _which(os.stat(target))  # noqa: PTH116 - see below
        self._is_away = False

    def check(self) -> None:
        """Look whether it is still the same storage.

        Raises:
            StorageUnavailable: it is not.
        """
        try:
            found = os.stat(self._target)  # noqa: PTH116 - on the way of every write: a Path costs more than the call
            if _which(found) == self._seen:
                self._tell(is_away=False)
                return
            # Another inode with the same content: another node wrote it too, or the volume is back.
            is_right = self._reads_right()
        except OSError:
            found, is_right = None, False
        if found is None or not is_right:
            if self._content is not None:
                self._seen = None
            self._tell(is_away=True)
            msg = f"{self._target} is not there or not what it was: is the volume mounted?"
            raise StorageUnavailable(msg)
        self._seen = _which(found)
        self._tell(is_away=False)

    def _tell(self, *, is_away: bool) -> None:
        if is_away == self._is_away:
            return
        self._is_away = is_away
        if is_away:
            _log.error("another storage lies where this registry's was: writes are refused", path=self._target)
        else:
            _log.info("the storage is back", path=self._target)

    def _reads_right(self) -> bool:
        if self._content is None:
            return False
        with open(self._target, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            return file.read(len(self._content) + 1) == self._content


def _which(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
