"""``moorage up`` as its own process: registry and control plane over one folder, on free ports."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from support.commands import moorage
from support.ports import free_port
from support.server_under_test import ServerUnderTest

START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0

_LAST_LINE = "Ctrl-C stops it."


class Standalone(ServerUnderTest):
    """``with Standalone(tmp_path) as up:`` starts it and waits until both answer; the end of the block stops it."""

    def __init__(self, folder: Path, *, ports: tuple[int, int] | None = None, adopt: Path | None = None) -> None:
        self.folder = folder
        self.adopt = adopt
        self.data = folder / "data"
        registry_port, control_port = ports or (free_port(), free_port())
        self.registry = f"localhost:{registry_port}"
        self.registry_addr = f"127.0.0.1:{registry_port}"
        self.control = f"127.0.0.1:{control_port}"
        self.url = f"http://localhost:{control_port}"
        self.process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._answers = threading.Event()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "moorage", "up", str(self.data), "--workers", "1"]
        command += ["--addr", self.registry_addr, "--control-addr", self.control]
        command += [] if self.adopt is None else ["--adopt", str(self.adopt)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, args=(self.process,))
        self._reader.start()
        assert self._answers.wait(START_DEADLINE_S), self.log
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        """All that was written until now."""
        return "".join(self._lines)

    @property
    def password(self) -> str:
        """The first administrator's."""
        return (self.data / "initial_password").read_text().strip()

    def stop(self, name: signal.Signals = signal.SIGTERM) -> int:
        """Stop it by a signal; return its exit status once all of its processes have let go of its output."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(name)
        status = self.process.wait(STOP_DEADLINE_S)
        self._reader.join(STOP_DEADLINE_S)
        assert not self._reader.is_alive(), "a process is left"
        return status

    def command(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``moorage control`` on its configuration."""
        environ = {**os.environ, "MOORAGE_CONTROL": str(self.data / "control.yml")}
        return moorage("control", *words, env=environ, given=stdin)

    def printed(self) -> Sequence[str]:
        """The lines that it has told people, without its logs."""
        found = re.search(rf"^Moorage .*?^{re.escape(_LAST_LINE)}$", self.log, re.MULTILINE | re.DOTALL)
        return found.group().splitlines() if found else []

    def status(self, url: str) -> int:
        """The status of a GET."""
        try:
            with urllib.request.urlopen(url) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            exc.close()
            return exc.code

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._lines.append(line)
                if line.startswith(_LAST_LINE):
                    self._answers.set()
        self._answers.set()
