"""A server of two workers whose supervisor rests, and what is done to it at the moment when it begins to.

Run with a folder for its notes and the name of what happens then.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from aiohttp.web_request import BaseRequest

from moorage.errors import StorageUnavailable
from moorage.server.address import ListenAddress
from moorage.server.application import Application, ServerProcess
from moorage.server.resting import Rested, Resting
from moorage.server.server_settings import ServerSettings
from moorage.server.supervisor import Supervisor
from moorage.telemetry import LogSettings, configure
from moorage.web.responses import Response

COUNT = 2


def note(folder: Path, text: str) -> None:
    """Add a line to what the test reads."""
    with (folder / "notes").open("a") as file:
        file.write(f"{text}\n")


@dataclass(frozen=True)
class Server:
    """What each of its programs is made from."""

    folder: Path
    event: str

    async def make(self, process: ServerProcess) -> Application:
        """Make what each worker runs."""
        note(self.folder, f"worker {process.number} {os.getpid()}")
        if (self.folder / "away").exists():
            msg = "what it needs is away"
            raise StorageUnavailable(msg)

        async def answer(_request: BaseRequest) -> Response:
            return Response(200, {}, str(os.getpid()).encode())

        async def close() -> None:
            note(self.folder, f"closed {os.getpid()}")

        return Application(handler=answer, close=close)

    def level(self) -> str:
        """Read the level of the log again."""
        return "debug"

    def __call__(self, rested: Rested, caught: int) -> int:
        """Go on after a rest."""
        note(self.folder, f"goes on with {signal.Signals(caught).name}")
        return self.supervisor(resting=Resting(go_on=self)).go_on(rested, caught)

    def __reduce__(self) -> tuple[object, tuple[Path, str]]:
        # It is pickled as the last thing before its process becomes another program, by which all is blocked.
        happens = EVENTS.get(self.event)
        if happens is not None:
            happens(self.folder)
        return Server, (self.folder, "")

    def supervisor(self, *, resting: Resting) -> Supervisor:
        """Make the supervisor, of the start or of what follows a rest."""
        settings = ServerSettings(
            address=ListenAddress("127.0.0.1:0"),
            log=LogSettings(fields={}, output="stderr"),
            drain_time=timedelta(seconds=5),
            count=COUNT,
        )
        configure(settings.log)
        return Supervisor(
            settings=settings,
            make=self.make,
            on_ready=lambda address: print(address, flush=True),  # noqa: T201 - the test reads it
            reread_level=self.level,
            resting=resting,
        )


def _signal(number: int, _folder: Path) -> None:
    os.kill(os.getpid(), number)


def _kill_worker(folder: Path) -> None:
    pid = int((folder / "notes").read_text().split()[2])
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _all_at_once(folder: Path) -> None:
    _kill_worker(folder)
    _signal(signal.SIGHUP, folder)
    _signal(signal.SIGTERM, folder)


def _lose_processes(folder: Path) -> None:
    _lose_interpreter(folder)  # The supervisor stays, and so does what is done to it here.
    fork = os.fork

    def fork_unless_away() -> int:
        if (folder / "away").exists():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    os.fork = fork_unless_away


def _lose_interpreter(folder: Path) -> None:
    sys.executable = str(folder / "not-there")


EVENTS: Mapping[str, Callable[[Path], object]] = {
    "stop": partial(_signal, signal.SIGTERM),
    "interrupt": partial(_signal, signal.SIGINT),
    "reread": partial(_signal, signal.SIGHUP),
    "killed worker": _kill_worker,
    "all at once": _all_at_once,
    "no interpreter": _lose_interpreter,
    "no processes": _lose_processes,
}

if __name__ == "__main__":
    # By its own name, so that the program that follows finds it.
    from support.resting_server import Server as Found
    from support.resting_server import note as note_found

    folder, event = Path(sys.argv[1]), sys.argv[2]
    ending = partial(note_found, folder, "the end")
    sys.exit(Found(folder, event).supervisor(resting=Resting(go_on=Found(folder, event), endings=[ending])).run())
