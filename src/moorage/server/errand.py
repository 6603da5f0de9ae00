"""An errand of a start: work in a process that is forked for it and ends with it, beside what its parent does.

What the work imports and leaves in memory ends with it too, and is neither the parent's nor that of the workers which
the parent forks later.
"""

import contextlib
import ctypes
import os
import pickle
import signal
import sys
from collections.abc import Callable

from moorage.errors import MoorageError

_PR_SET_PDEATHSIG = 1
_FAILED = 1


class Errand:
    """A process that does one thing."""

    def __init__(self, work: Callable[[], object]) -> None:
        """Start *work* in a process of its own; connections and threads that are open now are not to be used there."""
        self._reading, writing = os.pipe()
        sys.stdout.flush()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reading)
            os._exit(_do(work, parent, writing))
        os.close(writing)

    def wait(self) -> None:
        """Return when it is done: as late as it takes, as what follows cannot be without it.

        Raises:
            MoorageError, OSError: what the work raised; or it ended otherwise, and why stands in its own output.
        """
        with os.fdopen(self._reading, "rb") as stream:
            said = stream.read()
        _, status = os.waitpid(self._pid, 0)
        if said:
            raise pickle.loads(said)  # noqa: S301 - our own process has written it
        code = os.waitstatus_to_exitcode(status)
        if code:
            msg = f"a part of the start ended with status {code}"
            raise MoorageError(msg)


def end_with(parent: int) -> None:
    """Have this process told to stop when its parent is killed, where the system can do that."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:  # It was killed meanwhile.
        os._exit(_FAILED)


def _do(work: Callable[[], object], parent: int, writing: int) -> int:
    end_with(parent)
    try:
        try:
            work()
        except (MoorageError, OSError) as exc:
            with os.fdopen(writing, "wb") as stream:
                stream.write(pickle.dumps(exc))
    except BaseException:  # noqa: BLE001 - nothing may go on in this process as if it were the parent
        sys.excepthook(*sys.exc_info())
        return _FAILED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
