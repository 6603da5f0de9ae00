"""A server that knows nothing of registries: it runs whatever application it is given, in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from support.processes import children_of

PROGRAM = """
import asyncio, contextlib, signal, sys
from datetime import timedelta
from pathlib import Path
from moorage.server.address import ListenAddress
from moorage.server.application import Application
from moorage.server.listening import Listening
from moorage.server.server_settings import ServerSettings
from moorage.server.supervisor import Supervisor
from moorage.web.responses import Response
from moorage.telemetry import LogSettings

folder, count, has_keeper = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "keeper"
with_duty, with_upkeep = "duty" in sys.argv[4:], "upkeep" in sys.argv[4:]

async def make(process):
    def note(text):
        with (folder / "notes").open("a") as file:
            file.write(f"{process.number} {text}\\n")

    @contextlib.asynccontextmanager
    async def duty(end):
        note("is on duty")
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, end)
        yield
        note("is off duty")

    begin = Listening.begin

    async def begin_noted(listening, *args):
        note("listens")
        await begin(listening, *args)

    if with_duty:
        Listening.begin = begin_noted

    async def answer(request):
        if request.path == "/never":
            note("waits")
            await asyncio.Event().wait()
        return Response(200, {}, f"{process.number}".encode())

    async def chore():
        note("begins")
        try:
            await asyncio.Event().wait()
        finally:
            note("puts back")

    async def keep():
        note("keeps up")
        try:
            await asyncio.Event().wait()
        finally:
            note("lets go")

    async def crash():
        raise RuntimeError("a chore of no use")

    async def flush():
        note("flushes")

    async def close():
        note("closes")

    def drain():
        if "draining" in sys.argv:
            note("drains")

    on_duty = duty if with_duty else None
    parts = {"chores": (crash, chore), "flushes": (flush,), "upkeep": (crash, keep) if with_upkeep else ()}
    return Application(handler=answer, on_duty=on_duty, on_drain=drain, close=close, **parts)

assert "moorage.wiring" not in sys.modules and "moorage.core" not in sys.modules
supervisor = Supervisor(
    settings=ServerSettings(
        address=ListenAddress("127.0.0.1:0"),
        log=LogSettings(fields={}, output="stderr"),
        drain_time=timedelta(seconds=600 if with_duty else 5),
        count=count,
        has_keeper=has_keeper,
    ),
    make=make,
    on_ready=lambda address: print(address, flush=True),
)
raise SystemExit(supervisor.run())
"""

Start = Callable[..., "Running"]


class Running:
    """The program, from when it answers."""

    def __init__(self, folder: Path, count: int, *, has_keeper: bool, parts: Sequence[str] = ()) -> None:
        self.notes_path = folder / "notes"
        words = [str(folder), str(count), "keeper" if has_keeper else "alone", *parts]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def answer(self) -> str:
        with urllib.request.urlopen(f"http://{self.address}/", timeout=30) as response:
            return str(response.read().decode())

    def wait_for(self, note: str) -> None:
        """Until it is there; the test's own timeout ends what never comes."""
        while note not in self.notes():
            time.sleep(0.01)

    def notes(self) -> list[str]:
        return self.notes_path.read_text().splitlines() if self.notes_path.exists() else []

    def end(self, name: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(name)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Running] = []

    def begin(count: int, *, has_keeper: bool, parts: Sequence[str] = ()) -> Running:
        running.append(Running(tmp_path, count, has_keeper=has_keeper, parts=parts))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def test_the_first_worker_does_the_chores_where_there_is_no_keeper(start: Start) -> None:
    server = start(2, has_keeper=False)
    assert server.answer() in ("0", "1")
    server.wait_for("0 begins")
    status, log = server.end()
    assert status == 0, log
    notes = server.notes()
    assert sorted(notes) == ["0 begins", "0 closes", "0 flushes", "0 puts back", "1 closes", "1 flushes"]
    ours = [note for note in notes if note.startswith("0")]
    assert ours == ["0 begins", "0 puts back", "0 flushes", "0 closes"]
    assert "a chore crashed; it is begun again after a pause" in log


def test_a_keeper_does_the_chores_and_serves_nothing(start: Start) -> None:
    server = start(1, has_keeper=True)
    server.wait_for("-1 begins")
    assert server.answer() == "0"
    status, log = server.end(signal.SIGINT)
    assert status == 0, log
    kept = [note for note in server.notes() if note.startswith("-1")]
    assert kept == ["-1 begins", "-1 puts back", "-1 flushes", "-1 closes"]
    assert [note for note in server.notes() if note.startswith("0")] == ["0 flushes", "0 closes"]


def test_without_a_configuration_to_read_again_a_hang_up_changes_nothing_and_is_noted(start: Start) -> None:
    server = start(1, has_keeper=False)
    server.process.send_signal(signal.SIGHUP)
    assert server.answer() == "0"
    status, log = server.end()
    assert status == 0, log
    assert "nothing to do: files are read whenever they change; everything else needs a restart" in log


def test_a_process_is_on_duty_before_it_listens_and_until_it_has_answered_the_last(start: Start) -> None:
    server = start(1, has_keeper=True, parts=["duty"])
    assert server.answer() == "0"
    status, log = server.end()
    assert status == 0, log
    ours = [note for note in server.notes() if note.startswith("0")]
    assert ours == ["0 is on duty", "0 listens", "0 is off duty", "0 flushes", "0 closes"]


def test_every_process_that_serves_keeps_up_and_one_that_does_not_has_no_need(start: Start) -> None:
    server = start(2, has_keeper=True, parts=["upkeep"])
    for number in (0, 1):
        server.wait_for(f"{number} keeps up")
    assert server.answer() in ("0", "1")
    status, log = server.end()
    assert status == 0, log
    for number in (0, 1):
        ours = [note for note in server.notes() if note.startswith(f"{number} ")]
        assert ours == [f"{number} {what}" for what in ("keeps up", "lets go", "flushes", "closes")]
    assert "-1 keeps up" not in server.notes()


def test_a_process_that_may_not_go_on_while_it_drains_ends_at_once(start: Start) -> None:
    """As by a lease that is lost: who collects garbage believes from then on that nobody pushes."""
    server = start(1, has_keeper=False, parts=["duty", "draining"])
    (worker,) = children_of(server.process.pid)
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_for("0 waits")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("0 drains")
        os.kill(worker, signal.SIGWINCH)
        assert server.process.wait(60) == 0
    assert server.notes()[-1] == "0 closes"
