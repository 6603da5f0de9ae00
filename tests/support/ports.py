"""Ports for the servers that tests start."""

import contextlib
import itertools
import os
import random
import socket

_FIRST, _LAST = 10_000, 32_000
"""Below what the kernel gives to connections (``net.ipv4.ip_local_port_range``): none of those takes one meanwhile."""
_SHARES = 16
"""Ranges, one for each of xdist's processes."""
_WIDTH = (_LAST - _FIRST) // _SHARES
_TURNS = itertools.count(random.randrange(_WIDTH))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens at, and that no other test of the run gets soon."""
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _SHARES
    for _ in range(_WIDTH):
        port = _FIRST + share * _WIDTH + next(_TURNS) % _WIDTH
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    msg = f"no port of the range of process {share} is free"
    raise RuntimeError(msg)
