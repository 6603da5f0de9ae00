"""``moorage`` commands that a test runs to their end, each as a process of its own which need not load its modules.

To load them takes 0.2 s of CPU and more, and most commands a tenth of that for what they are asked to do.
So a process that has loaded them is copied (:mod:`support.ready_program`): words, variables, folder, files, signals,
process id and exit status are the command's own.
Tests of how a process begins start ``python -m moorage`` themselves, as do those that go on beside it or kill it.
So do those of commands that ask a registry, which load so little that a copy would cost as much.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from support.services import shared

DEADLINE_S = 300.0
_PROGRAM = Path(__file__).with_name("ready_program.py")
_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_")
"""How names of variables begin that count only where a process begins."""


class ReadyProgram:
    """The process that is copied; one command at a time, for who holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._began_with = _of_the_start(os.environ)

    def __enter__(self) -> Self:
        self._asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # -P: the folder of the program has modules with names of libraries.
            command = [sys.executable, "-P", str(_PROGRAM), str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *exc: object) -> None:
        self._asking.close()
        self._process.wait()

    def fits(self, environ: Mapping[str, str]) -> bool:
        """Return whether a process that begins with these variables would begin as this one has."""
        return self._began_with == _of_the_start(environ)

    def run(self, request: bytes, files: list[int], deadline_s: float) -> int:
        """Return the exit status of a request; what will not end in time is killed.

        Raises:
            TimeoutError: it was killed.
        """
        socket.send_fds(self._asking, [request], files)
        pid = self._answer()
        if not select.select([self._asking], [], [], deadline_s)[0]:
            os.kill(pid, signal.SIGKILL)
            self._answer()
            raise TimeoutError
        return self._answer()

    def _answer(self) -> int:
        said = self._asking.recv(64)
        assert said, f"the program that runs commands ended with {self._process.wait()}"
        return int(said)


_ready: list[ReadyProgram] = []
_starting = threading.Lock()


def moorage(
    *words: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    given: str | bytes = b"",
    timeout_s: float = DEADLINE_S,
) -> "subprocess.CompletedProcess[str]":
    """Run ``moorage`` with *words* to its end, as :func:`subprocess.run` does; *given* is its standard input.

    Where variables are others that count as a process begins, or another command runs at the moment, it begins anew.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
    """
    line = [sys.executable, "-m", "moorage", *map(str, words)]
    environ, folder, program = dict(os.environ if env is None else env), cwd or Path.cwd(), _program()
    with _file(given) as stdin, _file() as stdout, _file() as stderr:
        if program.fits(environ) and program.lock.acquire(blocking=False):
            try:
                request = json.dumps({"words": line[3:], "env": environ, "cwd": str(folder)}).encode()
                status = program.run(request, [stdin, stdout, stderr], timeout_s)
            except TimeoutError:
                raise subprocess.TimeoutExpired(line, timeout_s, _text(stdout), _text(stderr)) from None
            finally:
                program.lock.release()
        else:
            status = subprocess.run(
                line,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environ,
                cwd=folder,
                timeout=timeout_s,
                check=False,
            ).returncode
        return subprocess.CompletedProcess(line, status, _text(stdout), _text(stderr))


def _program() -> ReadyProgram:
    with _starting:
        if not _ready:
            _ready.append(shared(ReadyProgram()))
        return _ready[0]


def _of_the_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_AT_THE_START)}


@contextlib.contextmanager
def _file(content: str | bytes = b"") -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.seek(0)
        yield file.fileno()


def _text(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, encoding="utf-8", closefd=False) as opened:
        return opened.read()
