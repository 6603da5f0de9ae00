"""The scratch folder of a test run: whatever its processes make lies below it, and goes with it.

It is in memory where there is enough of it: a test then waits for no disk. ADR 110 says what that leaves out, and what
``MOORAGE_TEST_SCRATCH`` is for. What a run has left that failed, or was killed, is there until the next one begins.
"""

import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

SCRATCH = "MOORAGE_TEST_SCRATCH"
"""Names the folder below which a run makes its own, instead of the one that is chosen here."""
FAILURES = "failures.txt"
"""In a run's folder: what each failed test said, from when it failed."""
_PREFIX = "moorage-run-"
_IN_MEMORY = Path("/dev/shm")
_SCRATCH_BYTES = 8 << 30
"""What a run may need at the same time, with as much again for its programs."""


class RunFolder:
    """A folder of one run, held by a lock for as long as the process lives that made it."""

    def __init__(self, place: Path) -> None:
        _remove_abandoned(place)
        # It gets its name when it is held: before that, a run that begins now would take it for an abandoned one.
        name = secrets.token_hex(4)  # Clients make names of images from paths.
        made = place / f".{name}"
        made.mkdir()
        made.chmod(0o711)  # Servers that run as another user have their folders below it.
        self._held = _hold(made)
        self.path = made.rename(place / f"{_PREFIX}{name}")

    def use(self, environ: MutableMapping[str, str]) -> None:
        """Have this process, and all that it starts, make scratch folders here: those of other runs below it too."""
        tempfile.tempdir = str(self.path)
        for name in ("TMPDIR", SCRATCH):
            environ[name] = str(self.path)

    def end(self, *, keep: bool) -> None:
        """Leave the folder to the next run if *keep*, which is for looking at what failed; else remove it."""
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)


def place_for_scratch(environ: MutableMapping[str, str], *, memory: Path = _IN_MEMORY) -> Path:
    """Return where a run makes its folder: what is named, memory if there is enough, or where others have theirs."""
    if named := environ.get(SCRATCH):
        return Path(named)
    if memory.is_dir():
        _remove_abandoned(memory)  # It counts as what there is enough of.
        if min(shutil.disk_usage(memory).free, available_bytes()) >= _SCRATCH_BYTES:
            return memory
    return Path(tempfile.gettempdir())


def available_bytes() -> int:
    """Return how much memory the machine could still give."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _hold(folder: Path) -> int | None:
    """Lock *folder* and return what holds the lock; None if another process has it."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    return held


def _remove_abandoned(place: Path) -> None:
    """Remove the folders of our own runs that nobody holds any more."""
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            held = _hold(folder) if folder.stat().st_uid == os.geteuid() else None
        except FileNotFoundError:  # Another run that begins was quicker.
            continue
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
