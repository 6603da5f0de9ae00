"""Real clients, each on folders and sockets of its own and stopped by its process id.

Nothing here leaves this machine: every registry they are pointed at is on the loopback, without TLS unless said.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.surroundings import alone

COMMAND_DEADLINE_S = 120.0
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0


def attempt(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    given: bytes | None = None,
    timeout_s: float = COMMAND_DEADLINE_S,
) -> tuple[int, str]:
    """Run a command to its end: its exit status, and what it printed on both streams."""
    done = subprocess.run(
        [str(word) for word in command],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    given: bytes | None = None,
    timeout_s: float = COMMAND_DEADLINE_S,
) -> str:
    """Run a command that must succeed and return what it printed."""
    status, output = attempt(*command, env=env, given=given, timeout_s=timeout_s)
    assert status == 0, f"{' '.join(map(str, command))} ended with {status}:\n{output[-4000:]}"
    return output


def scratch_folder() -> Path:
    """A new folder with a short path, for sockets (107 bytes at most) and the like; the caller removes it."""
    return Path(tempfile.mkdtemp(prefix="moorage-"))


class Background:
    """A server process of a client (or of a proxy), with its log, from a command to its end by SIGTERM."""

    def __init__(self, folder: Path, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.command = [str(word) for word in command]
        self.env = dict(env or {})
        self.log_path = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, probe: Sequence[str | Path]) -> None:
        """Start it and wait until the command *probe* succeeds."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"{self.command[0]} ended:\n{self.log[-4000:]}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                if attempt(*probe, env=self.env, timeout_s=10)[0] == 0:
                    return
            time.sleep(0.1)
        self.stop()
        msg = f"{self.command[0]} did not answer within {START_DEADLINE_S} s:\n{self.log[-4000:]}"
        raise RuntimeError(msg)

    def stop(self) -> None:
        """SIGTERM and wait; what will not go is killed with all that it started."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_DEADLINE_S)


class Skopeo:
    """``skopeo``, with folders of its own: which registry has which blob is remembered from one call to the next."""

    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Large layers pass through scratch files, and /var/tmp may be small.
        self.env = _places(folder)
        self._command = (*alone(folder), "skopeo", "--insecure-policy")

    def __call__(self, *words: str | Path, timeout_s: float = COMMAND_DEADLINE_S) -> str:
        return run(*self._command, *words, env=self.env, timeout_s=timeout_s)

    def attempt(self, *words: str | Path) -> tuple[int, str]:
        return attempt(*self._command, *words, env=self.env)

    def copy(self, source: str, target: str, *options: str, timeout_s: float = COMMAND_DEADLINE_S) -> str:
        """Copy between any two transports, digests kept, registries without TLS."""
        return self("copy", *self.plain, "--preserve-digests", *options, source, target, timeout_s=timeout_s)


class _Store:
    """A client with a store of images of its own in *folder*, on the ``vfs`` driver, which runs anywhere."""

    command: tuple[str, ...]
    driver = "vfs"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # podman wants this path to have at most 50 characters.
        self.runroot = scratch_folder()
        self.env = _places(folder)
        self._alone = alone(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        shutil.rmtree(self.runroot, ignore_errors=True)

    def __call__(self, *words: str | Path, given: bytes | None = None) -> str:
        return run(*self._whole(words), env=self.env, given=given).strip()

    def attempt(self, *words: str | Path, given: bytes | None = None) -> tuple[int, str]:
        return attempt(*self._whole(words), env=self.env, given=given)

    def _whole(self, words: Sequence[str | Path]) -> list[str | Path]:
        places = ("--root", self.folder / "root", "--runroot", self.runroot, "--storage-driver", self.driver)
        return [*self._alone, self.command[0], *places, *self.command[1:], *words]


def _places(folder: Path) -> dict[str, str]:
    """Return the environment by which a client keeps everything below *folder*."""
    names = ("TMPDIR", "HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    return dict.fromkeys(names, str(folder))


class Buildah(_Store):
    """``buildah``: images made from scratch by adding files, which needs no container to run."""

    command = ("buildah",)

    def build(self, name: str, files: Mapping[str, bytes], *, architecture: str = "amd64") -> None:
        """Commit an image that holds *files* under *name*."""
        container = self("from", "scratch")
        for path, content in files.items():
            scratch = self.folder / "file"
            scratch.write_bytes(content)
            self("copy", "--quiet", container, scratch, path)
        self("config", "--arch", architecture, "--os", "linux", container)
        self("commit", "--quiet", "--rm", container, name)


class Podman(_Store):
    """``podman`` without containers: pull, push, tag, images; its locks, too, are its own."""

    command: tuple[str, ...] = ("podman", "--cgroup-manager", "cgroupfs", "--events-backend", "file")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.command = (*self.command, "--tmpdir", str(self.runroot / "libpod"))
        settings = folder / "containers.conf"
        settings.write_text('[engine]\nlock_type = "file"\n')
        self.env["CONTAINERS_CONF"] = str(settings)


class Oras:
    """``oras`` with its credentials in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._env = {"DOCKER_CONFIG": str(folder), "HOME": str(folder)}

    def __call__(self, *words: str | Path, given: bytes | None = None) -> str:
        return run("oras", *words, env=self._env, given=given)

    def attempt(self, *words: str | Path) -> tuple[int, str]:
        return attempt("oras", *words, env=self._env)


class LazyPodman(Podman):
    """``podman`` that pulls of a layer only the files that it does not have; of its drivers only ``overlay`` can."""

    driver = "overlay"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        settings = folder / "storage.conf"
        settings.write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{self.runroot}"\ngraphroot = "{folder / "root"}"\n'
            '[storage.options]\npull_options = {enable_partial_images = "true"}\n'
        )
        self.env["CONTAINERS_STORAGE_CONF"] = str(settings)


class Docker:
    """A docker daemon of its own (root), and the client that speaks to it."""

    def __init__(self, folder: Path, *, within: Sequence[str] = ()) -> None:
        """*within* is put before the daemon's command, to run it in a namespace."""
        self.folder = folder
        self.sockets = scratch_folder()
        self.host = f"unix://{self.sockets / 'docker.sock'}"
        self.env = {"DOCKER_CONFIG": str(folder / "client"), "DOCKER_HOST": self.host}
        options: list[str | Path] = [
            *("--data-root", folder / "data", "--exec-root", self.sockets / "exec", "-H", self.host),
            *("--pidfile", folder / "pid", "--config-file", folder / "daemon.json"),
            *("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"),
            *("--insecure-registry", "127.0.0.0/8"),
        ]
        self.server = Background(folder, [*within, "dockerd", *options])

    def __enter__(self) -> Self:
        (self.folder / "client").mkdir(parents=True)
        (self.folder / "daemon.json").write_text("{}")
        self.server.start(["docker", "-H", self.host, "version"])
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.server.stop()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def __call__(self, *words: str | Path, given: bytes | None = None) -> str:
        return run("docker", *words, env=self.env, given=given).strip()

    def attempt(self, *words: str | Path, given: bytes | None = None) -> tuple[int, str]:
        return attempt("docker", *words, env=self.env, given=given)


class Containerd:
    """A containerd of its own (root), and ``ctr``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sockets = scratch_folder()
        self.socket = self.sockets / "sock"
        self.server = Background(folder, ["containerd", "--config", folder / "config.toml"])

    def __enter__(self) -> Self:
        lines = [
            "version = 2",
            f'root = "{self.folder / "root"}"',
            f'state = "{self.sockets / "state"}"',
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
            "[grpc]",
            f'  address = "{self.socket}"',
        ]
        (self.folder / "config.toml").write_text("\n".join(lines))
        self.server.start(["ctr", "--address", self.socket, "version"])
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.server.stop()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def __call__(self, *words: str | Path) -> str:
        return run("ctr", "--address", self.socket, *words).strip()
