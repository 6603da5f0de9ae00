"""Servers that all tests of this process share: started when first asked for, ended with the run.

Not by ``atexit``, which processes of xdist never come to.
"""

import contextlib
from typing import TypeVar

_T = TypeVar("_T")
_running = contextlib.ExitStack()


def shared(server: contextlib.AbstractContextManager[_T]) -> _T:
    """Start *server*, to be ended by :func:`end_all`."""
    return _running.enter_context(server)


def end_all() -> None:
    """End all that were started."""
    _running.close()
