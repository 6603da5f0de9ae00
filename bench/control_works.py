"""What is measured of the control plane: tokens for the registry, from one process on one core.

The process has a core of its own, and what asks has the others. The rate that is offered is 250/s: wrk's connections
wait between requests. With the core full they do not.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import processes
from content import MIB
from figures import AtMost, Figure, Series
from load import LoadError
from moorage.token_server.key_ring import KeyFolder
from stage import Stage

CONNECTIONS = 16
SLOW_CLIENTS = 20
P99_LIMIT_MS = 50
DELAY_LIMIT_MS = 50
CPU_LIMIT_MS = 2.2
"""Of a token: 450/s fill a core."""
MEMORY_LIMIT_MIB = 140
START_S = 60
_ROWS_S, _WRK_MORE_S = 300, 60
"""Seconds after which what makes the users, or wrk beyond its own time, has failed."""

_SCRIPT = """
local lines, number = {}, 0
for line in io.lines(os.getenv("BENCH_CREDENTIALS")) do
  local secret, project = line:match("(%S+) (%S+)")
  local path = "/jwt/auth?service=container_registry&scope=repository:" .. project .. ":pull"
  lines[#lines + 1] = wrk.format("GET", path, {Authorization = "Basic " .. secret, Host = "bench"})
end
function request() number = number % #lines + 1; return lines[number] end
if os.getenv("BENCH_PACED") then function delay() return math.random(20, 100) end end
"""
_PASSWORDS = """
function request()
  local path = "/jwt/auth?service=container_registry"
  local part = function() return math.random(0, 255) end
  local address = string.format("%d.%d.%d.%d", math.random(11, 126), part(), part(), part())
  return wrk.format("GET", path, {Authorization = "Basic " .. "cGFzc3dvcmQ6d3Jvbmc=", ["X-Forwarded-For"] = address})
end
"""
_ROWS = """
import base64, sys
from moorage.control.wsgi import application
from django.db import transaction
from moorage.control.accounts.changes import create_user
from moorage.control.accounts.token_changes import create_token
from moorage.control.audit.actors import COMMAND_LINE as by
from moorage.control.projects.changes import create_group, create_project
from moorage.control.projects.members import add_member
from moorage.control.projects.rules import AccessLevel
with transaction.atomic():
    group = create_group("bench", by=by, owner=None)
    projects = [create_project(group, f"app{n}", by=by, creator=None) for n in range(100)]
    for n in range(500):
        user = create_user(f"user{n}", by=by)
        add_member(projects[n % 100], user, AccessLevel.DEVELOPER, by=by)
        secret = create_token(user, "bench", ["read_registry"], by=by).secret
        print(base64.b64encode(f"{user}:{secret}".encode()).decode(), projects[n % 100].full_path)
    create_user("password", by=by, password="Tr0ub4dor-of-the-bench")
"""
_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class _Site:
    """A control plane that answers, with its users."""

    process: subprocess.Popen[bytes]
    port: int
    credentials: Path


@dataclass(frozen=True, slots=True)
class _Round:
    """What wrk has seen, and what it cost."""

    rate: float
    p99_ms: float
    cpu_ms: float


def control_tokens(stage: Stage) -> list[Figure]:
    """Tokens for personal access tokens: as offered, with the core full, beside passwords and beside slow clients."""
    if not stage.stores:
        return []
    with _site(stage, workers=1) as site:
        stage.say("tokens: warming up")
        _wrk(site, stage.plan.load_s)
        offered, full, beside, delayed = [], [], [], []
        for number in range(1, stage.plan.rounds + 1):
            stage.say(f"tokens: round {number} of {stage.plan.rounds}")
            offered.append(_wrk(site, stage.plan.load_s, is_paced=True))
            full.append(_wrk(site, stage.plan.load_s))
            with _passwords(site):
                beside.append(_wrk(site, stage.plan.load_s))
            with _slow_clients(site):
                delayed.append(_wrk(site, stage.plan.load_s, is_paced=True))
    with _site(stage, workers=2) as site:
        _wrk(site, stage.plan.load_s)
        memory = sum(_proportional_mib(pid) for pid in processes.tree(site.process.pid))
    rates = [
        Series(f"tokens/s {name}", [], [one.rate for one in rounds], is_higher_better=True)
        for name, rounds in (
            ("offered", offered),
            ("with the core full", full),
            ("beside 4 clients by password", beside),
        )
    ]
    slower = [max(0.0, slow.p99_ms - usual.p99_ms) for slow, usual in zip(delayed, offered, strict=True)]

    def figure(title: str, unit: str, values: list[float], limit: float, *others: Series) -> Figure:
        judged, target = Series(unit, [], values), AtMost(limit)
        return Figure(work="control-tokens", title=title, judged=judged, target=target, others=others)

    return [
        figure("a token, 250/s offered, p99", "ms", [one.p99_ms for one in offered], P99_LIMIT_MS, rates[0]),
        figure("a token, with the core full", "CPU ms/token", [one.cpu_ms for one in full], CPU_LIMIT_MS, *rates[1:]),
        figure("a token beside 20 slow clients, p99 more", "ms", slower, DELAY_LIMIT_MS),
        figure("memory of two processes and their parent (PSS)", "MiB", [memory], MEMORY_LIMIT_MIB),
    ]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"control-tokens": control_tokens}


@contextlib.contextmanager
def listening(
    folder: Path, file: Path, *, registry: str, workers: int
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Write the configuration *file* and start a control plane with it; its process and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = folder / "log"
    http = f"{{addr: '127.0.0.1:{port}', workers: {workers}, trustedproxies: [127.0.0.1]}}"
    file.write_text(f"http: {http}\nsecret: {'bench' * 8}\nregistry: {registry}\n")
    command = [sys.executable, "-m", "moorage", "control", "serve", str(file)]
    with log.open("wb") as stream:
        process = subprocess.Popen(_pinned(command, 0), stdout=stream, stderr=subprocess.STDOUT)
    try:
        _await(process, log)
        yield process, port
    finally:
        processes.stop(process, patience_s=20)


@contextlib.contextmanager
def _site(stage: Stage, *, workers: int) -> Iterator[_Site]:
    with tempfile.TemporaryDirectory(dir=stage.scratch) as name:
        folder = Path(name)
        KeyFolder(folder / "keys").prepare(time.time())
        file, registry = folder / "control.yml", "{enabled: true, host: bench, key: keys, issuer: bench}"
        with listening(folder, file, registry=registry, workers=workers) as (process, port):
            environment = {**os.environ, "MOORAGE_CONTROL": str(file)}
            rows = _output([sys.executable, "-c", _ROWS], environment, limit_s=_ROWS_S)
            (folder / "credentials").write_bytes(rows)
            yield _Site(process, port, folder / "credentials")


def _await(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while '"listening"' not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"the control plane did not start: {log.read_text()[-2000:]}"
            raise LoadError(msg)
        time.sleep(0.05)


def _wrk(site: _Site, seconds: int, *, is_paced: bool = False) -> _Round:
    script = site.credentials.with_name("wrk.lua")
    script.write_text(_SCRIPT)
    environment = {
        **os.environ,
        "BENCH_CREDENTIALS": str(site.credentials),
        **({"BENCH_PACED": "1"} if is_paced else {}),
    }
    url = f"http://127.0.0.1:{site.port}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    before_s = processes.cpu_s(site.process.pid)
    said = _output(_pinned(command, 1), environment, limit_s=seconds + _WRK_MORE_S).decode()
    spent_s = processes.cpu_s(site.process.pid) - before_s
    rate = re.search(r"Requests/sec: *([\d.]+)", said)
    p99 = re.search(r"99% *([\d.]+)(us|ms|s)", said)
    count = re.search(r"(\d+) requests in", said)
    if rate is None or p99 is None or count is None or "Non-2xx" in said:
        msg = f"wrk says: {said}"
        raise LoadError(msg)
    return _Round(float(rate[1]), float(p99[1]) * _UNITS_MS[p99[2]], 1e3 * spent_s / int(count[1]))


def _output(command: list[str], environment: Mapping[str, str], *, limit_s: int) -> bytes:
    try:
        return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=limit_s).stdout
    except subprocess.TimeoutExpired:
        msg = f"{command[0]} did not end in {limit_s} s"
        raise LoadError(msg) from None
    except subprocess.CalledProcessError as exc:
        msg = f"{command[0]} failed: {exc.stderr.decode(errors='replace')[-2000:]}"
        raise LoadError(msg) from None


@contextlib.contextmanager
def _passwords(site: _Site) -> Iterator[None]:
    """Four clients meanwhile with a wrong password, each time from elsewhere: as many as can be are hashed."""
    script = site.credentials.with_name("passwords.lua")
    script.write_text(_PASSWORDS)
    command = ["wrk", "-t1", "-c4", "-d600s", "-s", str(script), f"http://127.0.0.1:{site.port}"]
    process = subprocess.Popen(_pinned(command, 1), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        processes.stop(process, patience_s=5)


@contextlib.contextmanager
def _slow_clients(site: _Site) -> Iterator[None]:
    """Clients that have sent half a head, or half a body, and send no more meanwhile."""
    half_head, half_body = (
        b"GET /jwt/auth HTTP/1.1\r\nHost: b",
        b"POST /jwt/auth HTTP/1.1\r\nHost: b\r\nContent-Length: 100\r\n\r\nx",
    )
    with contextlib.ExitStack() as stack:
        for number in range(SLOW_CLIENTS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), 10))
            client.sendall(half_head if number % 2 else half_body)
        yield


def _pinned(command: list[str], core: int) -> list[str]:
    return ["taskset", "-c", str(core), *command] if (os.cpu_count() or 1) > core else command


def _proportional_mib(pid: int) -> float:
    found = re.search(r"^Pss: *(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / MIB if found is not None else 0.0
