"""SeaweedFS: an object store that speaks S3, on free loopback ports, gone afterwards."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from support.components import need
from support.ports import free_port
from support.s3_client import S3Client

START_DEADLINE_S = 200.0
ACCESS_KEY = "moorage"
SECRET_KEY = "moorage-secret-key"
BUCKET = "registry"
_PORTS = (
    "s3",
    "s3.grpc",
    "master",
    "master.grpc",
    "volume",
    "volume.grpc",
    "filer",
    "filer.grpc",
    "admin",
    "admin.grpc",
)


class SeaweedFS:
    """One ``weed mini`` with an empty bucket."""

    access_key, secret_key, bucket = ACCESS_KEY, SECRET_KEY, BUCKET

    def __init__(self) -> None:
        # It is a package of Python's, so it lies beside the interpreter.
        self._command = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if self._command is None:
            need("weed")
        self.folder = Path()
        self.address = ""
        self._ports: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-weed-"))
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self.address = f"127.0.0.1:{self._ports['s3']}"
        options = {_option(name): str(port) for name, port in self._ports.items()}
        options |= {"dir": str(self.folder), "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "bucket": BUCKET}
        options |= {"s3.port.iceberg": "0", "s3.port.lance": "0"}
        options |= dict.fromkeys(("admin.ui", "webdav", "master.telemetry"), "false")
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self._command), "mini", *(f"-{name}={value}" for name, value in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
            )
        self._wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
        # Its parts speak with each other here, wherever TMPDIR is.
        for port in self._ports.values():
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket.unlink(missing_ok=True)

    def _wait(self) -> None:
        """Until the bucket takes an object: it is made a moment after the first requests are taken.

        The first object is when volumes are made, and is refused once or twice while they are. No test is to see that.
        """
        client = S3Client(self)
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "weed.log").read_text(errors="replace")[-4000:]
            with contextlib.suppress(OSError):
                if client.request("PUT", "ready", body=b"ready")[0] == 200:
                    client.request("DELETE", "ready")
                    return
            time.sleep(0.05)
        msg = f"SeaweedFS did not answer within {START_DEADLINE_S} s"
        raise RuntimeError(msg)


def _option(name: str) -> str:
    service, _, kind = name.partition(".")
    return f"{service}.port{'.' + kind if kind else ''}"


def _free_ports(count: int) -> list[int]:
    """Ports that are all different."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return sorted(found)
