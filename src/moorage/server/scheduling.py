"""The processors: how many may be used, and how a process that does not serve stays out of the way."""

import ctypes
import math
import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""The system call's number: glibc has a function for it from 2.41 on only."""
_SLICE_NS = 100_000_000
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def step_back(niceness: int) -> None:
    """Make this process nicer; it takes nobody's processor when it wakes up, and those that wake up take its own.

    A process that is owed time by its niceness takes the processor from one that serves as soon as it has something to
    do, and keeps it for a whole piece of work. One of the policy for batches waits until that one has nothing to do or
    has had its share. All threads that it starts later are the same.
    Since Linux 6.6 a process may use up its slice, or what is left until the next tick (4 ms), before it gives way to
    one that wakes up with a slice as long; since 6.12 one with a shorter slice need not wait for that. So this one asks
    for the longest slice that there is. Older kernels take no notice, and others may refuse: then it is nice only.
    """
    nice = os.nice(niceness)
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None and platform.system() == "Linux":
        attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_BATCH, 0, nice, 0, _SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)


def usable_processors(*, root: Path = Path("/")) -> int:
    """Count the processors this process may use: by its affinity, and by the quota of its cgroup and those around it.

    *root* is where ``proc`` and ``sys`` are. What cannot be read limits nothing.
    """
    quotas = [quota for quota in _quotas(root) if quota > 0]
    return max(1, min([len(os.sched_getaffinity(0)), *map(math.ceil, quotas)]))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas in processors, of cgroup v2 and of v1."""
    mounted = root / "sys" / "fs" / "cgroup"
    for line in _words(root / "proc" / "self" / "cgroup", "\n"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for folder in _around(mounted, path):
                yield _ratio(_words(folder / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for base in (mounted / "cpu", mounted / controllers):
                for folder in _around(base, path):
                    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                    yield _ratio([word for name in names for word in _words(folder / name)])


def _around(base: Path, path: str) -> Iterator[Path]:
    """The folder of a cgroup and those of all around it: in a container only its own is there, as the outermost."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    for count in range(len(parts), -1, -1):
        yield base.joinpath(*parts[:count])


def _ratio(words: list[str]) -> float:
    """A quota by its period; 0 where there is none."""
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # Nothing is there, or "max".
        return 0.0
    return quota / period if quota > 0 and period > 0 else 0.0


def _words(path: Path, separator: str | None = None) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").split(separator)
    except OSError:
        return []
