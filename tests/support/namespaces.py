"""Networks of their own on this machine.

One has all of its ports free, for what is told to use a fixed one; the other one (root) has names and an address of its
own, for clients that do not check certificates of 127.0.0.1.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.clients import run, scratch_folder

ADDRESS = "10.77.0.1"
"""Of the namespace's own loopback interface: nothing outside it is there."""


class Loopback:
    """A loopback interface on which nobody listens: ``[*loopback.within, "command"]`` runs there.

    Where this user may not make one, it is the machine's own and ``within`` is empty.
    """

    def __init__(self) -> None:
        # For others than root it belongs to a user namespace, in which they stay who they are.
        options = ("--net",) if os.geteuid() == 0 else ("--user", "--map-current-user", "--keep-caps", "--net")
        self._unshare = ("unshare", *options, "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity")
        self._enter = ("--net",) if os.geteuid() == 0 else ("--user", "--preserve-credentials", "--net")
        self._holder: subprocess.Popen[bytes] | None = None
        self.within: Sequence[str] = ()

    def __enter__(self) -> Self:
        if shutil.which("unshare") and shutil.which("ip"):
            self._holder = subprocess.Popen(self._unshare, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            assert self._holder.stdout is not None
            if self._holder.stdout.readline() == b"ready\n":
                self.within = ("nsenter", "--target", str(self._holder.pid), *self._enter, "--")
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()


class Namespace:
    """``with Namespace("registry.test") as space:`` has these names at :data:`ADDRESS`, and its own ``/etc/docker``.

    ``[*space.within, "command"]`` runs there.
    """

    def __init__(self, *names: str) -> None:
        self.folder = scratch_folder()
        self.etc_docker = self.folder / "docker"
        self._hosts = self.folder / "hosts"
        self.etc_docker.mkdir()
        self._hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {' '.join(names)}\n")
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        Path("/etc/docker").mkdir(exist_ok=True)
        script = (
            f"ip link set lo up && ip addr add {ADDRESS}/32 dev lo && mount --bind {self._hosts} /etc/hosts && "
            f"mount --bind {self.etc_docker} /etc/docker && echo ready && exec sleep infinity"
        )
        command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        assert self._holder is not None
        self._holder.kill()
        self._holder.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def within(self) -> Sequence[str]:
        assert self._holder is not None
        return ("nsenter", "--target", str(self._holder.pid), "--net", "--mount", "--")

    def run(self, *command: str | Path) -> str:
        """Run a command that must succeed there."""
        return run(*self.within, *command)
