"""The folder in which the processes of a node count, for as long as the node runs."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "moorage-metrics-"
_UNFINISHED = "moorage-unlocked-"
"""Not looked at by others, as nobody holds it yet."""


@contextlib.contextmanager
def metrics_folder() -> Iterator[tuple[Path, int]]:
    """A private folder, which goes with the block, and what holds it; what nodes that were killed have left goes now.

    It is held by a lock, which forked processes share, so that a node's folder stays as long as one of them lives.

    Raises:
        OSError: there can be none.
    """
    _remove_abandoned()
    made = Path(tempfile.mkdtemp(prefix=_UNFINISHED))
    held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(_PREFIX + made.name.removeprefix(_UNFINISHED)))
        try:
            yield folder, held
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(found).st_uid == os.geteuid():
                    fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(found)
