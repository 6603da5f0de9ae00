"""A supervisor that rests: nothing that comes in between is lost, and whatever it has to do, it does as before."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moorage.server.crew import Place

TESTS = Path(__file__).parents[2]

Begin = Callable[[str], "Server"]


class Server:
    """The program of ``support/resting_server.py``, from when it answers."""

    def __init__(self, folder: Path, event: str) -> None:
        self.folder = folder
        with (folder / "log").open("a") as log:  # Added to, so that it can be emptied meanwhile.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "support.resting_server", str(folder), event],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    @property
    def rests(self) -> bool:
        """True while it is the small program."""
        return b"resting_program" in Path(f"/proc/{self.process.pid}/cmdline").read_bytes()

    def wait_until_it_rests(self) -> None:
        """The test's own timeout ends what never comes."""
        while not self.rests:
            time.sleep(0.01)

    def wait_for(self, pattern: str) -> None:
        """Until a line of its notes or of its log is like *pattern*."""
        while not re.search(pattern, self.notes + self.log):
            time.sleep(0.01)

    @property
    def notes(self) -> str:
        return (self.folder / "notes").read_text()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def workers(self) -> list[int]:
        """All that there have been."""
        return [int(pid) for pid in re.findall(r"^worker \d (\d+)$", self.notes, re.MULTILINE)]

    def answer(self) -> int:
        """The number of the process that answers."""
        with urllib.request.urlopen(f"http://{self.address}/", timeout=30) as response:
            return int(response.read())

    def end(self, name: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(name)
        return self.process.wait(60)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    begun: list[Server] = []

    def one(event: str = "") -> Server:
        begun.append(Server(tmp_path, event))
        return begun[-1]

    yield one
    for server in begun:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.mark.parametrize(("event", "name"), [("stop", "SIGTERM"), ("interrupt", "SIGINT"), ("all at once", "SIGTERM")])
def test_a_stop_at_the_moment_when_it_begins_to_rest_ends_all_in_good_order(
    begin: Begin, event: str, name: str
) -> None:
    server = begin(event)
    assert server.process.wait(60) == 0
    assert f'"quit_signal": "{name}"' in server.log
    killed = {server.workers[0]} if event == "all at once" else set()
    assert {f"closed {pid}" for pid in set(server.workers) - killed} < set(server.notes.splitlines())
    assert server.notes.splitlines().count("the end") == 1


def test_a_worker_that_is_killed_at_that_moment_is_replaced(begin: Begin) -> None:
    server = begin("killed worker")
    server.wait_for("goes on with SIGCHLD")
    server.wait_for(r"(worker \d \d+\n(.*\n)*){3}")
    assert "a worker ended; starting another" in server.log
    server.wait_until_it_rests()
    assert {server.answer() for _ in range(60)} == set(server.workers[1:])
    assert server.end() == 0
    assert "Traceback" not in server.log


def test_a_level_that_is_to_be_read_at_that_moment_is_read_and_is_that_of_the_end(begin: Begin) -> None:
    server = begin("reread")
    server.wait_for("goes on with SIGHUP")
    server.wait_for("read again: log.level")
    server.wait_until_it_rests()
    assert server.end(signal.SIGINT) == 0
    assert server.notes.splitlines()[-1] == "the end"


def test_signals_that_mean_nothing_leave_the_workers_as_they_are(begin: Begin) -> None:
    server = begin("")
    for _ in range(2):
        server.wait_until_it_rests()
        server.process.send_signal(signal.SIGUSR1)
        server.wait_for("nothing to do: logs go to stdout or stderr")
        (server.folder / "log").write_text("")
    assert server.end() == 0
    assert len(server.workers) == 2


def test_without_an_interpreter_it_stays_as_it_is_and_still_replaces_a_worker(begin: Begin) -> None:
    server = begin("no interpreter")
    time.sleep(1.5)  # It has tried in vain.
    os.kill(server.workers[0], signal.SIGKILL)
    server.wait_for(r"(worker \d \d+\n(.*\n)*){3}")
    assert not server.rests
    assert server.end() == 0
    assert "goes on" not in server.notes


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("", "what it needs is away"),
        ("no interpreter", "what it needs is away"),
        ("no processes", "no worker can be started; trying again"),
    ],
)
def test_a_worker_that_cannot_be_replaced_now_is_later_and_the_others_go_on_without_it(
    begin: Begin, event: str, said: str
) -> None:
    server = begin(event)
    if event:
        time.sleep(1.5)  # It has tried to rest in vain.
    else:
        server.wait_until_it_rests()
    (server.folder / "away").touch()
    killed, other = server.workers
    os.kill(killed, signal.SIGKILL)
    server.wait_for(said)
    time.sleep(0.5)  # Of the tries that follow, some come in this time.
    assert server.process.poll() is None, server.log
    assert Path(f"/proc/{other}").exists()
    (server.folder / "away").unlink()
    # Without the one that is killed now, another one has to answer.
    os.kill(other, signal.SIGKILL)
    assert server.answer() not in (killed, other)
    assert server.end() == 0
    assert "Traceback" not in server.log


def test_the_pause_before_a_start_stays_the_longest_one_however_many_have_failed() -> None:
    place = Place(0, failures=5000)
    assert place.put_off(failed=True) == 30.0
    assert place.put_off(failed=False) == 0.0


def test_workers_of_one_that_is_killed_at_rest_end(begin: Begin) -> None:
    server = begin("")
    server.wait_until_it_rests()
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    for pid in server.workers:
        server.wait_for(f"closed {pid}")
    assert server.log.count("the supervisor is gone; draining") == 2


def test_one_that_cannot_go_on_ends_its_workers_in_good_order(begin: Begin) -> None:
    server = begin("")
    server.wait_until_it_rests()
    (server.folder / "notes").rename(server.folder / "before")
    (server.folder / "notes").mkdir()  # It writes down that it goes on, and cannot.
    os.kill(int((server.folder / "before").read_text().split()[2]), signal.SIGKILL)
    assert server.process.wait(60) == 1
    assert "the supervisor cannot go on; ending, to be started anew" in server.log
    assert '"msg": "stopping"' in server.log
