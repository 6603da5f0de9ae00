"""A bucket of our own for a measurement, in SeaweedFS, and the servers with their data in it."""

import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import processes
from load import Address, LoadError
from subjects import DockerRegistry, Moorage

BUCKET = "registry"
ACCESS_KEY = "bench"
SECRET_KEY = "bench-secret"  # noqa: S105 - it guards a scratch bucket that only listens on loopback
START_S = 60
STOP_S = 20

_HEAD = ("mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-bucket={BUCKET}", "-admin.ui=false", "-webdav=false")
_NOTHING = ("-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0")
_PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that can be reached at *port*; whoever shares it takes a *prefix* of their own."""

    port: int

    def parameters(self, prefix: str) -> dict[str, object]:
        """What both registries want under ``storage.s3``."""
        return {
            "accesskey": ACCESS_KEY,
            "secretkey": SECRET_KEY,
            "region": "us-east-1",
            "regionendpoint": f"http://127.0.0.1:{self.port}",
            "bucket": BUCKET,
            "secure": False,
            "rootdirectory": f"/{prefix}",
        }


def program() -> str | None:
    """The command of SeaweedFS, which comes with what development needs; None if it is not installed."""
    return shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@contextlib.contextmanager
def serving(scratch: Path) -> Iterator[Bucket]:
    """Start SeaweedFS with an empty bucket under *scratch*; stop and remove it on the way out.

    Raises:
        LoadError: it is not installed, or does not start.
    """
    command = program()
    if command is None:
        msg = "SeaweedFS is not installed (make setup installs it)"
        raise LoadError(msg)
    folder = Path(tempfile.mkdtemp(prefix="bucket-", dir=scratch))
    ports = _free_ports(len(_PORTS))
    options = [f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)]
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [command, *_HEAD, *_NOTHING, f"-dir={folder}", *options],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=os.environ | keys,
                start_new_session=True,
            )
        try:
            _wait(process, ports[0], folder / "log")
            yield Bucket(ports[0])
        finally:
            processes.stop(process, patience_s=STOP_S)
    finally:
        shutil.rmtree(folder)


class DockerRegistryOnBucket(DockerRegistry):
    """Debian's ``docker-registry`` with its data in a bucket."""

    def __init__(self, bucket: Bucket, *, is_cached: bool = True, redirects: bool = True) -> None:
        super().__init__()
        self._bucket = bucket
        self._storage = _storage(is_cached=is_cached, redirects=redirects)

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        command = super().command(address, folder)
        path = folder / "config.yml"
        configuration = json.loads(path.read_text())
        configuration["storage"] = {"s3": self._bucket.parameters(folder.name), **self._storage}
        del configuration["health"]  # Its requests would be counted.
        path.write_text(json.dumps(configuration, indent=2))
        return command


class MoorageOnBucket(Moorage):
    """Moorage with its data in a bucket, and its metadata there too or in SQLite."""

    def __init__(
        self,
        workers: int,
        bucket: Bucket,
        *,
        store: str = "layout",
        is_cached: bool = True,
        redirects: bool = True,
    ) -> None:
        super().__init__(workers)
        self.store = store
        self._bucket = bucket
        self._storage = _storage(is_cached=is_cached, redirects=redirects)

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        configuration: dict[str, object] = {
            "version": "0.1",
            # The peer does not limit itself; ours would wait for its 350 requests a second.
            "storage": {"s3": {**self._bucket.parameters(folder.name), "maxrequestspersecond": 0}, **self._storage},
        }
        if self.store == "SQLite":
            configuration["database"] = {"enabled": True, "sqlite": str(folder / "moorage.db")}
        path = folder / "config.yml"
        path.write_text(json.dumps(configuration, indent=2))  # JSON is YAML too.
        where = [str(path), "--addr", f"{address[0]}:{address[1]}"]
        return [sys.executable, "-m", "moorage", "serve", *where, "--workers", str(self._workers)]


def _storage(*, is_cached: bool, redirects: bool) -> Mapping[str, object]:
    storage: dict[str, object] = {"delete": {"enabled": True}, "redirect": {"disable": not redirects}}
    if is_cached:
        storage["cache"] = {"blobdescriptor": "inmemory"}
    return storage


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]


_LOOKS = 40
"""So many times in a row it is there, before it is used: a SeaweedFS that starts refuses everything for a moment."""


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline, looks = time.monotonic() + START_S, 0
    while looks < _LOOKS:
        looks = looks + 1 if _has_bucket(port) else 0
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"SeaweedFS does not serve on port {port}:\n{log.read_text(errors='replace')[-2000:]}"
            raise LoadError(msg)
        time.sleep(0.05)


def _has_bucket(port: int) -> bool:
    """Without credentials a bucket that is there is refused, and one that is not there yet is not found."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
    try:
        connection.request("HEAD", f"/{BUCKET}")
        return connection.getresponse().status in {200, 403}
    except OSError:
        return False
    finally:
        connection.close()
