"""The folder of a node's metrics: private, gone with the node, and not kept by one that was killed."""

import fcntl
import os
import signal
import tempfile
from pathlib import Path

import pytest

from moorage.server.metrics_folder import metrics_folder


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


class Node:
    """A process that has such a folder, and a process that it has forked."""

    def __init__(self) -> None:
        told, self._tells = os.pipe()
        self._goes_on, self._ends = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._ends)
            with metrics_folder() as (folder, _):
                if os.fork() != 0:
                    os.write(self._tells, str(folder).encode())
                os.read(self._goes_on, 1)  # Until it is killed, or the test has ended.
                os._exit(0)
        os.close(self._tells)
        self.folder = Path(os.read(told, 4096).decode())
        self._told = told

    def kill(self) -> None:
        """Kill it; the process that it has forked lives on."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def end(self) -> None:
        """Let the forked one end too, and wait until the system has closed all that it had."""
        os.close(self._ends)
        assert os.read(self._told, 1) == b""
        held = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)  # A process that ends closes one descriptor after the other.
        for fd in (self._told, self._goes_on, held):
            os.close(fd)


def test_it_is_private_and_goes_with_the_node(tmp_path: Path) -> None:
    with metrics_folder() as (folder, _):
        (folder / "counter_0.db").write_bytes(b"1")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_one_in_use_stays(tmp_path: Path) -> None:
    with metrics_folder() as (one, _), metrics_folder() as (other, _):
        assert set(tmp_path.iterdir()) == {one, other}


def test_one_that_a_killed_node_left_goes_when_the_last_of_its_processes_has_ended(tmp_path: Path) -> None:
    node = Node()
    node.kill()
    with metrics_folder() as (folder, _):
        assert set(tmp_path.iterdir()) == {folder, node.folder}
    node.end()
    with metrics_folder() as (folder, _):
        assert list(tmp_path.iterdir()) == [folder]


def test_what_is_no_folder_or_a_link_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "moorage-metrics-file").touch()
    (tmp_path / "moorage-metrics-link").symlink_to(kept)
    with metrics_folder():
        assert kept.is_dir()
        assert {"moorage-metrics-file", "moorage-metrics-link"} <= {path.name for path in tmp_path.iterdir()}
