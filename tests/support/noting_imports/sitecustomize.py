"""Notes every module that a process imports, and who asked for it: Python runs this before anything else.

Each process has a file of its own, by its id, in the folder of ``NOTED_IMPORTS``; a line is a module, and then the
modules that have imported one another until it was asked for, the nearest first.
"""

import os
import sys
from pathlib import Path
from types import FrameType


class Noting:
    """A finder that finds nothing: it is asked for each module that is not there yet, and notes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Note *name*, and leave it to others."""
        del path, target
        line = f"{name} < {' < '.join(_askers(sys._getframe(1)))}\n"
        file = os.open(self._folder / f"{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.write(file, line.encode())
        os.close(file)


def _askers(frame: FrameType | None) -> list[str]:
    found: list[str] = []
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "?"))
        if not name.startswith(("importlib", "_frozen")) and name not in found[-1:]:
            found.append(name)
        frame = frame.f_back
    return found


if "NOTED_IMPORTS" in os.environ:
    sys.meta_path.insert(0, Noting(Path(os.environ["NOTED_IMPORTS"])))
