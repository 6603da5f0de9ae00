"""Ports for the servers that tests start."""

import collections
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
_CLAIMS: collections.deque[socket.socket] = collections.deque()
"""What keeps the last ports from tests of another run on this machine, until their servers listen."""
_MOST_CLAIMS = 128


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens at, and that no other test, of this run or another, gets soon."""
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _SHARES
    for _ in range(_WIDTH):
        port = _FIRST + share * _WIDTH + next(_TURNS) % _WIDTH
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _CLAIMS.append(_claim(port))
            if len(_CLAIMS) > _MOST_CLAIMS:
                _CLAIMS.popleft().close()
            return port
    msg = f"no port of the range of process {share} is free"
    raise RuntimeError(msg)


def let_go_of_ports() -> None:
    """Take back what keeps the last ports from others."""
    while _CLAIMS:
        _CLAIMS.pop().close()


def _claim(port: int) -> socket.socket:
    """Take the abstract address (unix(7)) that stands for *port*: it is nobody else's, and goes with this process.

    Raises:
        OSError: another process has it.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0moorage-test-port-{port}")
    except OSError:
        claim.close()
        raise
    return claim
