"""How a process that does not serve stays out of the way of those that do."""

import ctypes
import os
import platform
import struct

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""The system call's number: glibc has a function for it from 2.41 on only."""
_SLICE_NS = 100_000_000
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def step_back(niceness: int) -> None:
    """Make this process nicer, and have those that wake up take its processor at once.

    Since Linux 6.6 a process may use up its slice, or what is left until the next tick (4 ms), before it gives way to
    one that wakes up with a slice as long; since 6.12 one with a shorter slice need not wait for that. So this one asks
    for the longest slice that there is. Older kernels take no notice, and others may refuse: then it is nice only.
    """
    nice = os.nice(niceness)
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None and platform.system() == "Linux":
        attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, _SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)
