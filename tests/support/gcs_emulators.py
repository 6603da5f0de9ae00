"""Emulators of Google Cloud Storage on free loopback ports, each with what it cannot do; the strict one is ours.

Their buckets are in memory. What they lack was tried out (November 2026): see :class:`Emulator`.
"""

import contextlib
import functools
import json
import secrets
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.config import GCSSection
from moorage.storage.gcs.gcs_driver import GCSDriver
from moorage.storage.gcs.opening import open_bucket
from support.clients import Background
from support.components import need
from support.gcs_fake import GCSFake
from support.ports import free_port
from support.services import shared

START_DEADLINE_S = 200.0


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running service."""

    name: str
    url: str
    make_bucket: Callable[[str], object]
    has_conditions: bool
    """It refuses a write that says which generation it is for, if that is not there any more."""
    has_status: bool
    """A status query of a resumable upload is answered, and does not end the upload."""
    has_signatures: bool
    """It looks at the signatures of URLs."""
    fake: GCSFake | None = None


@functools.cache
def running(name: str) -> Emulator:
    """Start a service, or give the one that runs."""
    if name == "strict":
        return shared(strict())
    folder = Path(shared(tempfile.TemporaryDirectory(prefix="moorage-gcs-")))
    makers = {"fake-gcs-server": fake_gcs_server, "gcp-storage-emulator": gcp_storage_emulator}
    return shared(makers[name](folder))


def new_bucket(name: str) -> GCSDriver:
    """Make a bucket with nothing in it at the service *name*, and a driver of it."""
    emulator = running(name)
    bucket = f"bucket-{secrets.token_hex(8)}"
    emulator.make_bucket(bucket)
    return open_bucket(GCSSection(bucket=bucket), endpoint=emulator.url)


@contextlib.contextmanager
def strict() -> Iterator[Emulator]:
    """Our own fake, for callers without credentials."""
    with GCSFake() as fake:
        fake.takes_anyone = True
        yield Emulator("strict", fake.url, fake.make, True, True, True, fake)


@contextlib.contextmanager
def fake_gcs_server(folder: Path) -> Iterator[Emulator]:
    """``fake-gcs-server``: ends an upload at a status query, and only knows preconditions of uploads."""
    need("fake-gcs-server")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    place = ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}", "-external-url", url]
    command = ["fake-gcs-server", "-scheme", "http", "-backend", "memory", "-log-level", "error", *place]
    with _running(folder, command, url):
        yield Emulator("fake-gcs-server", url, lambda name: _make(url, name), True, False, False)


@contextlib.contextmanager
def gcp_storage_emulator(folder: Path) -> Iterator[Emulator]:
    """``gcp-storage-emulator``: knows no preconditions and no pages."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).parent / "gcp-storage-emulator"
    command = [str(program), "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    with _running(folder, command, url):
        yield Emulator("gcp-storage-emulator", url, lambda name: _make(url, name), False, True, False)


@contextlib.contextmanager
def _running(folder: Path, command: Sequence[str], url: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    server = Background(folder, command, env={"PYTHONUNBUFFERED": "1"})
    server.start(["true"])
    try:
        _wait(url, server)
        yield
    finally:
        server.stop()


def _wait(url: str, server: Background) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        assert server.process is not None
        assert server.process.poll() is None, server.log
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/storage/v1/b?project=p", timeout=30):
            return
        time.sleep(0.05)
    msg = f"{server.command[0]} did not answer:\n{server.log}"
    raise RuntimeError(msg)


def _make(url: str, name: str) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/storage/v1/b?project=p", json.dumps({"name": name}).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
