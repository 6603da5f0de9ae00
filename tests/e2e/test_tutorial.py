"""The README and the tutorial, line for line: their marked blocks are run, and print what they say.

A block is marked by a comment above it: ``run: server`` (the first terminal), ``run`` (the second one), ``run: skopeo``
and ``run: docker`` (the second one, for that client), ``run: stop`` (the second one, after Ctrl-C in the first), and
``prints`` (what the block before it has printed).
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.clients import Docker, Skopeo, attempt
from support.components import need
from support.namespaces import Loopback

# Its ports are the pages' own, so that one at a time can be run where they are the machine's.
pytestmark = pytest.mark.xdist_group("docker")

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-push.md"
ACCOUNTS = ROOT / "docs" / "tutorial" / "accounts.md"
ADDRESS = "http://127.0.0.1:5000/"
DEADLINE_S = 120.0
END = "----that-was-it----"

_BLOCK = re.compile(r"^<!-- (run|prints)(?:: (\w+))? -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDED_BY_MAKE = ("Makefile", "LICENSE", "pyproject.toml", "requirements", "scripts")


@dataclass(frozen=True)
class Block:
    """A marked block: what is done with it, for whom, and its lines."""

    kind: str
    word: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(*found.groups(default="")) for found in _BLOCK.finditer(page.read_text())]


def checkout(folder: Path) -> Path:
    """A folder with what ``make`` needs of this one, its environment among it, and no data."""
    for name in _NEEDED_BY_MAKE:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / ".run").touch()  # Newer than what it is made of: there is nothing to install.
    return folder


class FirstTerminal:
    """The terminal that the server runs in, in the network that is entered by *within*."""

    def __init__(self, folder: Path, within: Sequence[str]) -> None:
        self.folder = folder
        self.within = within
        self.log_path = folder / "terminal.log"
        self.process: subprocess.Popen[bytes] | None = None

    def type(self, line: str) -> None:
        """Type a line, and wait until the server has said what to do next."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, "bash", "-c", line], cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + DEADLINE_S
        while "Ctrl-C stops it" not in self.log_path.read_text() or not self.has_answer():
            assert self.process.poll() is None, self.log_path.read_text()
            assert time.monotonic() < deadline, self.log_path.read_text()
            time.sleep(0.1)

    def has_answer(self) -> bool:
        return attempt(*self.within, "curl", "--silent", "--fail", "--max-time", "2", ADDRESS)[0] == 0

    def press_ctrl_c(self) -> None:
        """What a terminal does: SIGINT to all that run in it."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(DEADLINE_S)
        assert "Traceback" not in self.log_path.read_text()
        assert not self.has_answer()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(DEADLINE_S)


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    """The pages name ports, and nothing is changed in what they say: somebody's registry may be at them already."""
    need("make", "curl")
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def first_terminal(tmp_path: Path, loopback: Loopback) -> Iterator[FirstTerminal]:
    terminal = FirstTerminal(checkout(tmp_path), loopback.within)
    if terminal.has_answer():
        pytest.fail(f"{ADDRESS} is taken, the pages under test use it, and this user may make no network of their own")
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture
def docker_there(tmp_path_factory: pytest.TempPathFactory, loopback: Loopback) -> Iterator[Docker]:
    """A docker daemon that the first terminal's registry is as near to as to its user."""
    need("dockerd", "docker", "containerd", root=True)
    with Docker(tmp_path_factory.mktemp("docker"), within=loopback.within) as docker:
        yield docker


class SecondTerminal:
    """A shell that stops at the first command that fails, as a reader would."""

    def __init__(self, folder: Path, env: Mapping[str, str], within: Sequence[str] = ()) -> None:
        self.shell = subprocess.Popen(
            [*within, "bash", "-eu", "-o", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **env},
            text=True,
        )

    def type(self, lines: str) -> str:
        """Type some lines and return what they print."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        # In braces, so that no command reads the lines that follow as its input.
        self.shell.stdin.write(f"{{\n{lines}\n}} </dev/null\nprintf '\\n%s\\n' {END}\n")
        self.shell.stdin.flush()
        printed = ""
        while not printed.endswith(f"\n{END}\n"):
            line = self.shell.stdout.readline()
            assert line, f"a line failed:\n{lines}\n{printed}"
            printed += line
        return printed.removesuffix(f"{END}\n")

    def close(self) -> None:
        self.shell.kill()
        self.shell.communicate()


def follow(page: Path, client: str, env: Mapping[str, str], first_terminal: FirstTerminal) -> int:
    """Do what *page* says with *client*; return how many blocks that were."""
    count, printed = 0, ""
    with contextlib.closing(SecondTerminal(first_terminal.folder, env, first_terminal.within)) as second_terminal:
        for block in blocks_of(page):
            if block.kind == "prints":
                assert printed.strip() == block.text.strip()
            elif block.word == "server":
                first_terminal.type(block.text)
            elif block.word in ("", "stop", client):
                if block.word == "stop":
                    first_terminal.press_ctrl_c()
                printed = second_terminal.type(block.text)
            else:
                continue
            count += 1
    return count


@pytest.mark.parametrize("page", [README, TUTORIAL, ACCOUNTS], ids=["readme", "tutorial", "accounts"])
def test_every_line_works_with_skopeo(page: Path, first_terminal: FirstTerminal, skopeo: Skopeo) -> None:
    assert follow(page, "skopeo", skopeo.env, first_terminal) > 8


def test_every_line_of_the_readme_works_with_docker(first_terminal: FirstTerminal, docker_there: Docker) -> None:
    assert follow(README, "docker", docker_there.env, first_terminal) > 8


def test_a_registry_at_the_port_of_the_pages_is_in_nobodys_way(first_terminal: FirstTerminal) -> None:
    if not first_terminal.within:
        pytest.skip("this user may make no network of their own")
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", 5000)):
        assert not first_terminal.has_answer()


@pytest.mark.parametrize("page", [README, TUTORIAL, ACCOUNTS], ids=["readme", "tutorial", "accounts"])
def test_no_shell_block_is_left_out(page: Path) -> None:
    """Every block of shell below the start is marked, so that none is shown and not run."""
    text = page.read_text()
    steps = text[text.index("<!-- run: server -->") :]
    assert steps.count("```sh\n") == sum(block.kind == "run" for block in blocks_of(page))
