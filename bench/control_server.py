"""The control plane on our own listener, compared with gunicorn: rate, CPU for each request, and slow clients.

``.venv/bin/python bench/control_server.py [FOLDER WITH GUNICORN]``; wrk has to be installed. What others do on the
machine at the same time changes rates and times, and hardly the CPU for a request.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

_SECONDS = 8
_SLOW_CLIENTS = 20
_HALVES = (
    b"",
    b"GET /-/readiness HTTP/1.1\r\nHost: x\r\n",
    b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf",
)
_PORT = 5713


def main() -> None:
    """Measure both, one after the other."""
    folder = Path(tempfile.mkdtemp())
    file = folder / "control.yml"
    file.write_text(f"secret: {'x' * 40}\nhttp: {{addr: '127.0.0.1:{_PORT}'}}\naccesslog: false\nlog: text\n")
    ours = [sys.executable, "-m", "moorage", "control", "serve", str(file)]
    gunicorn = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "-b", f"127.0.0.1:{_PORT}"]
    for name, command in (("ours", ours), ("gunicorn", [*gunicorn, "moorage.control.wsgi"])):
        with serving(command, file) as pid:
            measure(name, pid)


def measure(name: str, pid: int) -> None:
    """Print the figures of one server."""
    wrk()
    for _ in range(3):
        before = cpu_s(pid)
        rate, count, p99 = wrk()
        print(f"{name}: {rate:.0f}/s, {(cpu_s(pid) - before) * 1000 / count:.2f} ms CPU a request, p99 {p99}")
    for half in _HALVES:
        with contextlib.ExitStack() as stack:
            for _ in range(_SLOW_CLIENTS):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", _PORT)))
                client.sendall(half)
            time.sleep(0.5)
            started = time.perf_counter()
            try:
                urllib.request.urlopen(url(), timeout=12).close()
                waited = f"{(time.perf_counter() - started) * 1000:.0f} ms"
            except OSError:
                waited = "more than 12 s"
        print(f"{name}: another request beside {_SLOW_CLIENTS} that sent {half[:20]!r} took {waited}")
    print(f"{name}: PSS of its processes {sum(pss_kib(each) for each in tree(pid)) // 1024} MiB")


@contextlib.contextmanager
def serving(command: Sequence[str], file: Path) -> Iterator[int]:
    """Run a server until the end of the block; its process id."""
    path = os.pathsep.join(sys.argv[1:])
    environ = {**os.environ, "MOORAGE_CONTROL": str(file), "PYTHONPATH": path}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(url()):
                break
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def url() -> str:
    """The URL that is asked: one query, all middleware."""
    return f"http://127.0.0.1:{_PORT}/-/readiness"


def wrk() -> tuple[float, int, str]:
    """Ask as fast as 16 connections can; requests a second, their number, and the slowest hundredth."""
    command = ["wrk", "-t1", "-c16", f"-d{_SECONDS}", "--latency", url()]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate, count, p99 = (re.search(p, text) for p in (r"Requests/sec:\s+([\d.]+)", r"(\d+) requests in", r"99%\s+(\S+)"))
    assert rate is not None
    assert count is not None
    assert p99 is not None
    return float(rate[1]), int(count[1]), p99[1]


def tree(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *[each for child in children for each in tree(int(child))]]


def cpu_s(pid: int) -> float:
    """CPU time of a process and its children."""
    ticks = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_kib(pid: int) -> int:
    """Memory of a process, with what it shares divided among those who share it."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
