"""What administrators, log rotation and containers do to a process: signals, few open files, process id 1."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from e2e.settings import config_for
from e2e.wire import Wire, connect, eventually, head, sha256
from support.components import need
from support.daemon import Daemon
from support.processes import children_of


@contextmanager
def load_on(daemon: Daemon) -> Iterator[list[object]]:
    """Somebody who pushes and pulls all the time; what went wrong for them."""
    stop, trouble, done = threading.Event(), list[object](), list[int]()

    def use() -> None:
        wire = Wire(daemon.address)
        while not stop.is_set():
            content = os.urandom(1000)
            try:
                wire.push_blob("t/load", content)
                found = wire.blob("t/load", sha256(content))
                if found.status != 200 or found.body != content:
                    trouble.append(found)
            except OSError as exc:
                trouble.append(exc)
            done.append(1)

    user = threading.Thread(target=use)
    user.start()
    try:
        eventually("somebody pushes", lambda: len(done) > 3)
        yield trouble
        seen = len(done)
        eventually("they still push", lambda: len(done) > seen + 3)
    finally:
        stop.set()
        user.join(60)


def test_signals_for_daemons_end_nothing_and_change_the_level_of_the_log(tmp_path: Path) -> None:
    config = config_for(tmp_path) + "log: {level: warn}\n"
    with Daemon(tmp_path, config=config, workers=2) as daemon:
        workers = daemon.worker_pids
        eventually("the supervisor rests", lambda: daemon.rests)
        with load_on(daemon) as trouble:
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                for pid in (daemon.pid, *workers):
                    os.kill(pid, number)
            assert '"msg": "access"' not in daemon.log.replace('":"', '": "')
            (tmp_path / "config.yml").write_text(config.replace("warn", "info"))
            for pid in (*workers, daemon.pid):
                os.kill(pid, signal.SIGHUP)
            eventually("the level is read again", lambda: "read again: log.level" in daemon.log)
            eventually("requests are logged", lambda: '"msg":"access"' in daemon.log)
            (tmp_path / "config.yml").write_text("version: 0.1\nnonsense")
            os.kill(daemon.pid, signal.SIGHUP)
            eventually("the mistake is told", lambda: "the configuration cannot be read again" in daemon.log)
        assert trouble == []
        assert daemon.worker_pids == workers
        assert daemon.stop() == 0
        (line,) = [line for line in daemon.log.splitlines() if "read again: log.level" in line]
        assert json.loads(line)["log_level"] == "info"


def test_signals_for_daemons_that_come_while_it_starts_wait_and_end_nothing(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, config=config_for(tmp_path) + "log: {level: info}\n", workers=1)
    daemon.start(wait=False)
    try:
        # Its folder is made long before there are workers.
        eventually("it starts", daemon.data.exists)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            os.kill(daemon.pid, number)
        daemon.wait_ready()
        eventually("the level is read again", lambda: "read again: log.level" in daemon.log)
    finally:
        assert daemon.stop() == 0


def cpu_seconds(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def is_served(address: str) -> bool:
    """Whether a new connection is answered; those that nobody could take are reset."""
    try:
        return Wire(address).request("GET", "/v2/").status == 200
    except ConnectionError:
        return False


def test_a_worker_out_of_open_files_says_so_rests_and_serves_again(tmp_path: Path) -> None:
    need("prlimit")
    within = ("prlimit", "--nofile=128:128")
    with Daemon(tmp_path, config=config_for(tmp_path), workers=1, within=within) as daemon:
        (worker,) = daemon.worker_pids
        with ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(connect(daemon.address, 5))
            eventually("it is told", lambda: "no more files can be opened" in daemon.log)
            before, began = cpu_seconds(worker), time.monotonic()
            time.sleep(2)  # The time in which its work is looked at.
            assert cpu_seconds(worker) - before < (time.monotonic() - began) / 2, "it spins"
        assert daemon.log.count("no more files can be opened") == 1
        eventually("it serves again", lambda: is_served(daemon.address))
        assert daemon.worker_pids == [worker]


def test_as_process_1_it_buries_orphans_and_drains(tmp_path: Path) -> None:
    need("unshare", "nsenter", root=True)
    within = ("unshare", "--pid", "--fork", "--kill-child")
    config = config_for(tmp_path, http={"draintimeout": "20s"})
    with Daemon(tmp_path, config=config, workers=1, within=within) as daemon:
        (first,) = children_of(daemon.pid)
        eventually("its keeper is there", lambda: len(children_of(first)) == 2)
        eventually("it rests", lambda: b"resting_program" in Path(f"/proc/{first}/cmdline").read_bytes())
        orphan = ("nsenter", "-t", str(first), "--pid", "sh", "-c", "(sleep 0.2; exit 3) & exit 0")
        subprocess.run(orphan, check=True, timeout=30)
        eventually("the orphan is gone", lambda: len(children_of(first)) == 2)
        content = os.urandom(1 << 20)
        sock = begun_put(daemon, content)
        os.kill(first, signal.SIGTERM)
        eventually("it stops", lambda: '"stopping"' in daemon.log)
        sock.sendall(content[1000:])
        assert sock.recv(100).startswith(b"HTTP/1.1 201")
        sock.close()
        assert daemon.process is not None
        assert daemon.process.wait(30) == 0


def begun_put(daemon: Daemon, content: bytes) -> socket.socket:
    location = Wire(daemon.address).start_upload("t/first")
    target = f"{location}{'&' if '?' in location else '?'}digest={sha256(content)}"
    sock = connect(daemon.address, 30)
    sock.sendall(head("PUT", target, content_length=str(len(content))) + content[:1000])
    return sock
