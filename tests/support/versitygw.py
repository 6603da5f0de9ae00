"""versitygw: a strict S3 over a folder, on a free loopback port, gone afterwards."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from support.components import need
from support.ports import free_port
from support.s3_client import S3Client

START_DEADLINE_S = 200.0
COMMAND = "versitygw"


class VersityGW:
    """One ``versitygw posix`` with an empty bucket."""

    access_key, secret_key, bucket = "moorage", "moorage-secret-key", "registry"

    def __init__(self) -> None:
        need(COMMAND)
        self.folder = Path()
        self.address = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-versity-"))
        (self.folder / "data" / self.bucket).mkdir(parents=True)
        self.start()
        return self

    def start(self, *, is_read_only: bool = False) -> None:
        """Serve what is in the folder, and return when it answers. *is_read_only*: nobody may write or remove."""
        limits = ["--readonly"] if is_read_only else []
        environment = {**os.environ, "ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    COMMAND,
                    *limits,
                    "--keep-alive",
                    "--port",
                    self.address,
                    "posix",
                    str(self.folder / "data"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
            with contextlib.suppress(OSError):
                if S3Client(self).request("GET", query="list-type=2")[0] == 200:
                    return
            time.sleep(0.05)
        msg = f"versitygw did not answer within {START_DEADLINE_S} s"
        raise RuntimeError(msg)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """Serve no more; what is in the folder stays."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)
