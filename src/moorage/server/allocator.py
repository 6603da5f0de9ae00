"""Memory of a process with many threads: settings of glibc's allocator; with another libc nothing changes.

A thread gets an arena of its own by default, and a block of some megabytes that was freed is kept for the next one. A
process whose threads take turns anyway pays for that with tens of megabytes, and has nothing from it.
"""

import contextlib
import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Source: malloc.h of glibc."""
_LARGE_BYTES = 1 << 20
"""A block from here on is the system's again as soon as it is freed; setting it also keeps it from growing."""


def share_one_arena() -> None:
    """Have all threads share one arena; for processes forked later, too."""
    _set(_M_ARENA_MAX, 1)


def keep_memory_small() -> None:
    """Have all threads share one arena, and give large blocks back at once; for processes forked later, too."""
    share_one_arena()
    _set(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _set(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(option, value)
