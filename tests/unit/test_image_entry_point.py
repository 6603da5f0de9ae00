"""The entry point of the container images: what it makes of the words that a container is started with."""

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.components import need

IMAGE = Path(__file__).parents[2] / "deploy" / "image"
USUAL = "/etc/distribution/config.yml"
OLD = "/etc/docker/registry/config.yml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The places of an image's configuration, and commands that say how they were called."""
    for place in ("/usr/share/moorage/config.yml", USUAL, OLD):
        copy = tmp_path / place[1:]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((IMAGE / "config.yml").read_bytes())
    for name in ("registry", "moorage"):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text('#!/bin/sh\necho "${0##*/}" "$@"\n')
        command.chmod(0o755)
    return tmp_path


def started(root: Path, *words: str, **environ: str) -> str:
    """What is run in the end, without the root's path."""
    need("cmp")
    path = f"{root / 'bin'}:{os.environ['PATH']}"
    given = {"PATH": path, "MOORAGE_IMAGE_ROOT": str(root), **environ}
    command = [str(IMAGE / "entrypoint"), *words]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout.replace(str(root), "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", f"registry serve {OLD}"),
        ("serve", f"registry serve {OLD}"),
        ("serve /etc/mine.yml", "registry serve /etc/mine.yml"),
        ("/etc/mine.yml", "registry serve /etc/mine.yml"),
        ("garbage-collect", f"registry garbage-collect {OLD}"),
        ("garbage-collect -m /etc/mine.yml", "registry garbage-collect -m /etc/mine.yml"),
        ("--version", "registry --version"),
        ("database migrate up /etc/mine.yml", "registry database migrate up /etc/mine.yml"),
        ("registry serve /etc/mine.yml", "registry serve /etc/mine.yml"),
        ("moorage tag list a/b", "moorage tag list a/b"),
        ("up", "moorage up /var/lib/moorage --addr 0.0.0.0:5000 --control-addr 0.0.0.0:8080"),
        ("up /srv/all", "moorage up /srv/all"),
        ("echo a shell", "a shell"),
    ],
)
def test_a_container_runs_what_registry_2_and_3_would(root: Path, words: str, expected: str) -> None:
    assert started(root, *words.split()).strip() == expected


def test_with_a_read_only_root_temporary_files_are_in_the_volume_or_in_memory(root: Path) -> None:
    need("unshare", "mount", root=True)
    volume, memory = root / "var/lib/moorage", root / "dev/shm"
    for folder in (root / "tmp", volume, memory):
        folder.mkdir(parents=True)
    asked = f"MOORAGE_IMAGE_ROOT={root} {IMAGE / 'entrypoint'} sh -c 'echo ${{TMPDIR:-none}}'"

    def chosen(*read_only: Path, given: str = "") -> str:
        mounts = "".join(f"mount -t tmpfs -o ro none {folder}; " for folder in read_only)
        line = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{mounts}{given} {asked}"]
        environ = {"PATH": os.environ["PATH"]}
        return subprocess.run(line, env=environ, capture_output=True, text=True, check=True).stdout.strip()

    assert chosen() == "none"
    assert chosen(root / "tmp") == f"{volume}/tmp"
    assert chosen(root / "tmp", volume) == f"{memory}/tmp"
    assert chosen(root / "tmp", given="TMPDIR=/mine") == "/mine"


@pytest.mark.parametrize("place", [USUAL, OLD])
def test_a_configuration_in_either_place_is_taken(root: Path, place: str) -> None:
    (root / place[1:]).write_text("version: 0.1\n")
    assert started(root).strip() == f"registry serve {place}"


def test_a_configuration_named_by_a_variable_goes_first(root: Path) -> None:
    assert started(root, REGISTRY_CONFIGURATION_PATH="/etc/mine.yml").strip() == "registry serve"


@pytest.fixture
def answering() -> Iterator[tuple[int, list[int]]]:
    """A server on a port, and the status that it gives."""
    status = [200]

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, status
        server.shutdown()
        thread.join()


def test_the_health_check_asks_where_the_registry_listens(answering: tuple[int, list[int]]) -> None:
    port, status = answering
    command = [str(IMAGE / "healthcheck")]
    environ = {"REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}"}
    for code, ends in ((200, 0), (401, 0), (503, 1)):
        status[0] = code
        assert subprocess.run(command, env=environ, capture_output=True, check=False).returncode == ends


def test_the_health_check_fails_where_nobody_listens(answering: tuple[int, list[int]]) -> None:
    environ = {"MOORAGE_HEALTH_URL": "http://127.0.0.1:1/"}
    ended = subprocess.run([str(IMAGE / "healthcheck")], env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, "no answer from http://127.0.0.1:1/" in ended.stdout) == (1, True)
