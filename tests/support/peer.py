"""The peer: Debian's ``docker-registry`` (Distribution 2.8), whose folders we share."""

import contextlib
import os
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from support.ports import free_port
from support.processes import listens

COMMAND = "docker-registry"
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0

_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "{address}"}}
"""


class Peer:
    """One ``docker-registry serve`` over the folder *data*, on a free loopback port."""

    def __init__(self, folder: Path, data: Path, *, command: str = COMMAND) -> None:
        self.command = command
        self.folder = folder
        self.data = data
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.log_path = folder / "peer.log"
        self.config_path = folder / "peer.yml"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        data.mkdir(parents=True, exist_ok=True)
        self.config_path.write_text(_CONFIG.format(data=data, address=self.address))

    def __enter__(self) -> Self:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [self.command, "serve", str(self.config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/", timeout=2):
                if listens(self.process.pid, self.port):
                    return self
            time.sleep(0.05)
        self.stop()
        msg = f"{self.command} did not answer within {START_DEADLINE_S} s:\n{self.log}"
        raise RuntimeError(msg)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_DEADLINE_S)

    def garbage_collect(self, *options: str) -> str:
        """Run ``docker-registry garbage-collect`` over the folder, nothing serving it; returns what it printed."""
        done = subprocess.run(
            [COMMAND, "garbage-collect", *options, str(self.config_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            timeout=120,
            check=False,
        )
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0, output[-4000:]
        return output


def _environment() -> dict[str, str]:
    """Without the variables that would override the file."""
    return {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
