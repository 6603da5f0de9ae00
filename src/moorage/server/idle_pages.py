"""Pages of programs and libraries that a process has read once and does not need any more.

A supervisor has imported all that its workers run. What of that comes from files, the code and the constants of
libraries, stays in its memory though it runs nothing of it, and a process that is forked does not even get it.
"""

import contextlib
import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

_MADV_DONTNEED = 4
"""Source: madvise(2)."""
_HEAD = re.compile(r"(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) r-[x-]p [0-9a-f]+ \S+ (?!0 )\d+ +/")
"""A file that is mapped, and cannot be written to. Source: proc_pid_maps(5)."""
_ANY_HEAD = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")


def let_go_of_files() -> None:
    """Let go of all pages that are as they are in a file; what is needed again is mapped again, without a read."""
    with contextlib.suppress(OSError, AttributeError):  # Another system than Linux, or a libc without it.
        madvise = ctypes.CDLL(None).madvise
        for start, size_bytes in unchanged(Path("/proc/self/smaps").read_text(errors="replace")):
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(size_bytes), _MADV_DONTNEED)


def unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """Yield the start and the size of mapped files that cannot be written to and of which no page was changed before.

    A library's tables are written to while it is loaded, and are then no longer what is in the file.
    """
    found: tuple[int, int] | None = None
    for line in smaps.splitlines():
        if _ANY_HEAD.match(line):
            head = _HEAD.match(line)
            found = None if head is None else (int(head["start"], 16), int(head["end"], 16) - int(head["start"], 16))
        elif found is not None and line.startswith("Anonymous:") and line.split()[1] == "0":
            yield found
