"""The rest of a supervisor: it becomes a small program by ``exec``, and has everything again once there is work to do.

Its workers have been forked from it and count references in pages of their own by now, so that of what it has imported
a good part is in its memory alone. See decision 174.
"""

import contextlib
import marshal
import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage import __version__
from moorage.errors import MoorageError
from moorage.handed_on import SharedMemory, hand_on
from moorage.server.crew import Crew
from moorage.telemetry import LogSettings, configure, get_log, level_of_all

_log = get_log("supervisor")

_PROGRAM = Path(__file__).with_name("resting_program.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """The way of a start to let its supervisor rest. All of it is pickled: by name what is imported, and small."""

    go_on: "GoOn"
    """Has everything again."""
    endings: Sequence[Callable[[], object]] = ()
    """Called at the very end, one after the other."""
    filenos: Sequence[int] = ()
    """Files that have to stay open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rested:
    """Everything that a supervisor which rests has to know to end its server."""

    crew: Crew
    log: LogSettings
    level: SharedMemory
    version: str
    metrics: Path | None
    endings: Sequence[Callable[[], object]]
    filenos: Sequence[int]


GoOn = Callable[[Rested, int], int]
"""Does what a signal asks for and all that follows, as the supervisor of a start does; returns the exit status."""


def rest(rested: Rested, go_on: GoOn) -> None:
    """Become the small program, with all signals blocked as they are; return if that cannot be, with nothing changed.

    A signal that comes in between waits for the small program.
    """
    try:
        hand_on(*rested.crew.filenos, *rested.filenos)
        handed = {
            "path": sys.path,
            "name": _name(),
            "listeners": rested.crew.all_listeners,
            "pids": [place.pid for place in rested.crew.places],
            "rested": pickle.dumps(rested),
            "go_on": pickle.dumps(go_on),
        }
        fileno = os.memfd_create("moorage-supervisor", 0)
    except (OSError, AttributeError, TypeError, pickle.PicklingError) as exc:
        _log.debug("the supervisor keeps all of its memory", reason=str(exc))
        return
    try:
        with os.fdopen(fileno, "wb", closefd=False) as file:
            file.write(marshal.dumps(handed))
        sys.stdout.flush()
        sys.stderr.flush()
        # Variables that are Python's are those of the start; without -P the folder of the program would be searched.
        python = [sys.executable, "-S", "-s", "-P", str(_PROGRAM)]
        # As "moorage serve" it is found in a list of processes by those who look for it so.
        os.execv(sys.executable, [*python, "moorage", *sys.argv[1:], str(fileno)])  # noqa: S606 - no shell is wanted
    except OSError as exc:
        os.close(fileno)
        _log.debug("the supervisor keeps all of its memory", reason=str(exc))


def go_on(handed: Mapping[str, bytes], caught: int) -> int:
    """Do what the signal *caught* asks for; return the exit status when the server has ended."""
    rested: Rested = pickle.loads(handed["rested"])  # noqa: S301 - our own process has written it
    level_of_all.become(rested.level)
    configure(rested.log)
    status = _do(rested, handed["go_on"], caught)
    for ending in rested.endings:
        with contextlib.suppress(OSError):
            ending()
    return status


def _do(rested: Rested, pickled: bytes, caught: int) -> int:
    if caught in (signal.SIGTERM, signal.SIGINT):
        rested.crew.stop(signal.Signals(caught), is_told=True)
        return 0
    try:
        if rested.version == __version__:
            go_on: GoOn = pickle.loads(pickled)  # noqa: S301 - as above
            return go_on(rested, caught)
        _log.error("another version has been installed since the start; ending, to be started anew", is_now=__version__)
    except MoorageError as exc:
        _log.error("the supervisor cannot go on; ending, to be started anew", error=str(exc))
    except Exception:  # noqa: BLE001 - whatever it is, the workers are to end in good order
        _log.exception("the supervisor cannot go on; ending, to be started anew")
    rested.crew.stop(signal.SIGTERM)
    return 1


def _name() -> bytes:
    """The name of the process in lists; empty: nobody knows."""
    try:
        return Path("/proc/self/comm").read_bytes().strip()
    except OSError:
        return b""
