"""What is measured of notifications: what a push feels of two endpoints, of which one is dead."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import client
import load
from content import KIB, Blob
from figures import Figure, Series, TimesBetter, percentile
from load import Address, Load, LoadError, Script, expect, request
from stage import Sample, Stage
from subjects import Daemon, Moorage, MoorageOnPostgres, Subject

PUSH_LIMIT_TIMES = 1.1
"""What the slowest of a hundred pushes may cost with endpoints, in pushes without."""
CONNECTIONS = 2
"""Few, so that what delivers has a processor: a machine that is full measures its processors, and not the waiting."""
PUSHES_PER_S = 400
LAYER_BYTES = 4 * KIB
DELIVERED_S = 120

_RECEIVER = """
import asyncio
async def talk(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\\r\\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    except (OSError, asyncio.IncompleteReadError):
        writer.close()
async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
"""A receiver that takes everything, in a process of its own: in this one it would hold up the load."""


class _Telling(Moorage):
    """Moorage on a database with a configuration file, with endpoints or without."""

    def __init__(self, inner: Subject, workers: int, endpoints: Sequence[str]) -> None:
        super().__init__(workers)
        self._inner = inner
        self._endpoints = endpoints
        self.store = inner.store
        self.database = inner.database

    def prepare(self, folder: Path) -> None:
        """Make the database, if there is one to be made."""
        self._inner.prepare(folder)

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        path = folder / "config.yml"
        if isinstance(self._inner, MoorageOnPostgres):
            command = self._inner.command(address, folder)
            configuration = json.loads(path.read_text())
        else:
            program, module, name, serve, *options = super().command(address, folder)
            command = [program, module, name, serve, str(path), *options]
            configuration = {
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
                "database": {"enabled": True, "sqlite": str(folder / "data" / "moorage.db")},
            }
        told = [{"name": f"e{number}", "url": url} for number, url in enumerate(self._endpoints)]
        path.write_text(json.dumps({**configuration, "notifications": {"endpoints": told}}, indent=2))
        return command


def push(stage: Stage) -> list[Figure]:
    """Pushes of small images over a few connections, with two endpoints and without any."""
    found = []
    count = PUSHES_PER_S * stage.plan.load_s
    for subject in stage.databases:
        title = "push an image of one layer, with two endpoints, one of them dead"
        with _receiver() as alive:
            endpoints = [f"http://127.0.0.1:{alive}/", f"http://127.0.0.1:{_closed_port()}/"]
            without, telling = (_Telling(subject, stage.workers, urls) for urls in ([], endpoints))

            def act(daemon: Daemon, number: int, telling: Subject = telling) -> Load:
                blobs = iter(stage.pool.blobs(2 * count, LAYER_BYTES, step=LAYER_BYTES + number + 1))
                latencies_s: dict[str, list[float]] = {"push": []}
                until = time.monotonic() + stage.plan.load_s
                scripts = [_pushes(blobs, latencies_s["push"], until=until) for _ in range(CONNECTIONS)]
                done = load.run(daemon.address, scripts)
                if daemon.subject is telling:
                    _wait_delivered(daemon)  # What it has left would be felt by the other one.
                return Load(done.count, done.wall_s, latencies_s)

            with stage.running(without, telling) as daemons:
                sides = stage.samples(title, daemons, act)
        found.append(_figure(title, subject.store, sides))
    return found


WORKS = {"notifications": push}


def _figure(title: str, store: str, sides: Sequence[Sequence[Sample]]) -> Figure:
    def latency(share: float, unit: str) -> Series:
        values = [[1000 * percentile(sample.latencies_s["push"], share) for sample in side] for side in sides]
        return Series(unit, values[0], values[1])

    return Figure(
        work="notifications",
        title=title,
        store=store,
        judged=latency(0.99, "ms, p99"),
        target=TimesBetter(round(1 / PUSH_LIMIT_TIMES, 2)),
        others=[latency(0.5, "ms, median")],
        against="without endpoints",
    )


def _pushes(blobs: Iterator[Blob], latencies_s: list[float], *, until: float) -> Script:
    """Push images of a configuration and a layer, each under a tag of its own. Counts images."""
    count = 0
    while time.monotonic() < until:
        config, layer = next(blobs), next(blobs)
        began = time.perf_counter()
        yield from client.push([config, layer])
        manifest = client.image_manifest(config, [layer])
        path = client.manifest_path(f"t{config.digest[-12:]}")
        headers = (f"Content-Length: {len(manifest)}", f"Content-Type: {client.MANIFEST_TYPE}")
        expect((yield request("PUT", path, *headers, body=[memoryview(manifest)])), 201)
        latencies_s.append(time.perf_counter() - began)
        count += 1
    return count


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _receiver() -> Iterator[int]:
    """A receiver that takes everything; yields its port."""
    process = subprocess.Popen([sys.executable, "-c", _RECEIVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def _wait_delivered(daemon: Daemon) -> None:
    """Wait until the endpoint that is alive has everything.

    Raises:
        LoadError: it does not get it in time.
    """
    until = time.monotonic() + DELIVERED_S
    while time.monotonic() < until:
        _, body = client.ask(daemon, "GET", "/moorage/v1/notifications/status")
        endpoints: Mapping[str, int] = {each["name"]: each["waiting"] for each in json.loads(body)["endpoints"]}
        if not endpoints["e0"]:
            return
        time.sleep(0.2)
    msg = f"events of {daemon.subject.store} are not delivered within {DELIVERED_S} s"
    raise LoadError(msg)
