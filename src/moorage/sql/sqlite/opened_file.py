"""Notices that the file under a database's path is no longer the one that is open: what is written there is lost."""

import os
from pathlib import Path

from moorage.errors import DatabaseUnavailable


class OpenedFile:
    """The file of a database, as it was when it was opened."""

    def __init__(self, path: Path) -> None:
        """*path*: of a file that is open and there."""
        self._path = str(path)
        self._seen = _which(self._path)

    def check(self) -> None:
        """Look whether the path still leads to the file: it goes on by itself once it does again.

        Raises:
            DatabaseUnavailable: it was moved or removed, or another one was put into its place.
        """
        try:
            is_same = _which(self._path) == self._seen
        except OSError:
            is_same = False
        if not is_same:
            msg = (
                f"{self._path} is not the file that was opened, and what is written to that would be lost: bring it "
                "back, or restart the registry with the one that is there"
            )
            raise DatabaseUnavailable(msg)


def _which(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - before every commit: a Path costs more than the call
    return found.st_dev, found.st_ino
