"""A registry over what a backup gives back, for as long as it is tried out: read-only, on a socket of its own."""

import contextlib
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from moorage.backup.backup_folder import BackupRefused
from moorage.backup.scratch_folders import scratch_folder

_BEGINNING = "from moorage.server.errand import end_with; end_with({}); from moorage.cli import main; main()"
"""``moorage``, which ends with the trial, also if that is killed."""
_START_DEADLINE_S = 120.0
_STOP_DEADLINE_S = 30.0
_ANSWER_DEADLINE_S = 60.0
_PAUSE_S = 0.05
_CHUNK_BYTES = 1 << 20
_MANIFEST_LIMIT_BYTES = 64 << 20
_LOG_TAIL = 2000
_ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, */*"
)


class ScratchRegistry:
    """``with ScratchRegistry(folder, database) as registry:`` starts it; the end of the block stops it."""

    def __init__(self, root: Path, database: Mapping[str, object]) -> None:
        """Make it, over the storage in *root*, with that section ``database``."""
        self._stack = contextlib.ExitStack()
        # Not in the backup's folder: a socket's path may have 100 bytes.
        self._home = self._stack.enter_context(scratch_folder("moorage-verify-"))
        self._socket = self._home / "socket"
        self._config = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "http": {"addr": str(self._socket), "net": "unix"},
            "storage": {
                "filesystem": {"rootdirectory": str(root)},
                "maintenance": {"readonly": {"enabled": True}, "uploadpurging": {"enabled": False}},
            },
            "database": dict(database),
            "gc": {"disabled": True},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    def manifest(self, repository: str, reference: str) -> tuple[int, bytes]:
        """Return the status and the bytes of a manifest.

        Raises:
            BackupRefused: the answer breaks off.
        """
        with self._read(f"/v2/{repository}/manifests/{reference}") as answer:
            return answer.status, answer.read(_MANIFEST_LIMIT_BYTES)

    def blob(self, repository: str, digest: str) -> tuple[int, str, int]:
        """Return the status, the digest of what came and its length.

        Raises:
            BackupRefused: the answer breaks off.
        """
        hasher, size_bytes = hashlib.new(digest.partition(":")[0]), 0
        with self._read(f"/v2/{repository}/blobs/{digest}") as answer:
            while chunk := answer.read(_CHUNK_BYTES):
                hasher.update(chunk)
                size_bytes += len(chunk)
            return answer.status, f"{hasher.name}:{hasher.hexdigest()}", size_bytes

    def _start(self) -> None:
        config = self._home / "config.yml"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self._config))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-c", _BEGINNING.format(os.getpid()), "serve", str(config), "--workers", "1"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
            )
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._home / "log").read_text(errors="replace")[-_LOG_TAIL:].strip()
                msg = f"a registry over the restored backup does not start: {said}"
                raise BackupRefused(msg)
            time.sleep(_PAUSE_S)

    def _answers(self) -> bool:
        try:
            with self._asked("/v2/") as answer:
                return answer.status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    @contextlib.contextmanager
    def _read(self, path: str) -> Iterator[http.client.HTTPResponse]:
        try:
            with self._asked(path) as answer:
                yield answer
        except (OSError, http.client.HTTPException) as exc:
            msg = f"{path} cannot be pulled: {exc!r}"
            raise BackupRefused(msg) from exc

    @contextlib.contextmanager
    def _asked(self, path: str) -> Iterator[http.client.HTTPResponse]:
        connection = _SocketConnection(str(self._socket))
        try:
            connection.request("GET", path, headers={"Accept": _ACCEPT})
            yield connection.getresponse()
        finally:
            connection.close()

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._stack.close()


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket in a folder."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock: Any = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWER_DEADLINE_S)
        self.sock.connect(self._path)
