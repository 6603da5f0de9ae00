"""The administration guide's commands are run, each as it stands there: on a site that ``moorage up`` has made, on a
folder of link files beside it, and with names and places of their own instead of those of a whole machine.
"""

import base64
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from support.commands import moorage
from support.daemon import Daemon
from support.images import push_image
from support.ports import free_port
from support.registry_client import RegistryClient
from support.standalone import Standalone

# Some sixty commands, each a process: two minutes or more.
pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide" / "administration.md"
DEADLINE_S = 120.0

NOT_RUN = {
    "moorage up data": "the site of these tests was started by it",
}
"""Lines that no test here runs, each with its reason."""

SERVERS = {
    "moorage serve /etc/moorage/config.yml": "served",
    "moorage control serve /etc/moorage/control.yml": "controlled",
}
"""Lines that run until they are stopped, with the place whose configuration they take."""

PLACES = {
    "moorage config from-gitlab-rb": "gitlab",
    "moorage control check": "gitlab",
    "moorage storage": "copied",
    "moorage database import": "imported",
    "moorage database export": "imported",
    "moorage garbage-collect": "linked",
}
"""Which place's configuration a command takes; ``site`` for all others."""

STATUSES = {
    # Findings, and not failures: a user without a role, and a node whose registry is reached without HTTPS.
    "moorage token explain": {1},
    "moorage doctor": {0, 1},
}
"""What a command may end with where it is not 0 alone."""

_SWITCH = "moorage control project change acme/app --registry"
AFTERWARDS = {f"{_SWITCH} disabled": f"{_SWITCH} enabled"}
"""What a reader types before going on with the next chapter."""

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINES = [line for block in _BLOCK.findall(GUIDE.read_text()) for line in block.splitlines() if line]


@dataclass(frozen=True)
class Place:
    """What the paths of the guide stand for."""

    config: Path
    control: Path


class GuidedSite:
    """A site with a group, a project, a user and an image, and folders beside it for what a site has no use for."""

    def __init__(self, folder: Path, up: Standalone) -> None:
        self.folder, self.up = folder, up
        self.environ = {**os.environ, "MOORAGE_REGISTRY": f"http://{up.registry}", "DOCKER_CONFIG": str(folder)}
        self.environ.pop("MOORAGE_CONTROL", None)
        site, links, gitlab = up.data, folder / "links", folder / "etc-moorage"
        control = site / "control.yml"
        self.places: Mapping[str, Place] = {
            "site": Place(site / "config.yml", control),
            "gitlab": Place(gitlab / "config.yml", gitlab / "control.yml"),
            "copied": Place(written(folder / "links.yml", storage_in(links)), control),
            "linked": Place(written(folder / "linked.yml", storage_in(folder / "linked")), control),
            "imported": Place(written(folder / "imported.yml", database_beside(folder / "taken-over")), control),
            "served": Place(written(folder / "served.yml", storage_in(folder / "served") | on_a_port()), control),
            "controlled": Place(site / "config.yml", written(site / "other.yml", elsewhere(control))),
        }
        written(folder / "bucket.yml", storage_in(folder / "bucket"))
        (folder / "gitlab.rb").write_text(
            "external_url 'https://gitlab.example.com'\nregistry_external_url 'https://gitlab.example.com:5050'\n"
        )

    def words(self, line: str) -> list[str]:
        """Return the words of *line* with this site's names and places."""
        key = next((PLACES[start] for start in PLACES if line.startswith(start)), "site")
        place = self.places[SERVERS.get(line, key)]
        ours = {
            "/etc/moorage/config.yml": str(place.config),
            "/etc/moorage/control.yml": str(place.control),
            "/etc/moorage": str(place.config.parent),
            "/etc/gitlab/gitlab.rb": str(self.folder / "gitlab.rb"),
            "/srv/backups": str(self.folder / "backups"),
            "https://registry.example.com": f"http://{self.up.registry}",
        }
        words = [ours.get(word, word) for word in shlex.split(line)]
        return [word.replace("registry.example.com", self.up.registry) for word in words[1:]]

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the folder where ``moorage up data`` was typed."""
        return moorage(*words, cwd=self.folder, env=self.environ, given=stdin, timeout_s=DEADLINE_S)

    def must(self, *words: str, stdin: str = "") -> str:
        """Run a command that has to succeed, and return what it has printed."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def written(file: Path, tree: Mapping[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(dict(tree)))
    return file


def storage_in(folder: Path) -> dict[str, Any]:
    storage = {"filesystem": {"rootdirectory": str(folder)}, "delete": {"enabled": True}}
    return {"version": 0.1, "storage": storage}


def database_beside(folder: Path) -> dict[str, Any]:
    database = {"enabled": True, "sqlite": str(folder.with_suffix(".db"))}
    return storage_in(folder) | {"database": database}


def on_a_port() -> dict[str, Any]:
    return {"http": {"addr": f"127.0.0.1:{free_port()}"}}


def elsewhere(control: Path) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(control.read_text())
    return {**tree, "http": {**tree["http"], "addr": f"127.0.0.1:{free_port()}"}}


def client_of(up: Standalone, token: str) -> RegistryClient:
    query = urlencode({"service": "container_registry", "scope": "repository:acme/app/web:pull,push"})
    request = urllib.request.Request(f"{up.url}/jwt/auth?{query}")
    request.add_header("Authorization", f"Basic {base64.b64encode(f'root:{token}'.encode()).decode()}")
    with urllib.request.urlopen(request) as answer:
        granted = json.load(answer)["token"]
    return RegistryClient(up.registry, headers={"Authorization": f"Bearer {granted}"})


def fill(site: GuidedSite) -> None:
    """Make what the guide speaks of: acme/app with an image, ada, and images in link files."""
    site.must("control", "group", "create", "acme")
    site.must("control", "project", "create", "acme/app")
    site.must("control", "user", "create", "ada", "--email", "ada@example.com")
    made = json.loads(site.must("control", "token", "create", "root", "--name", "guide", "--scope", "api", "--json"))
    site.must("login", f"http://{site.up.registry}", "-u", "root", "--password-stdin", stdin=made["token"])
    with client_of(site.up, made["token"]) as client:
        push_image(client, "acme/app/web", "1")
    with (
        Daemon(
            site.folder / "links", config=yaml.safe_dump(storage_in(site.folder / "links")), has_folder=False
        ) as old,
        RegistryClient(old.address) as client,
    ):
        push_image(client, "acme/app/web", "1")
    for name in ("linked", "taken-over"):
        shutil.copytree(site.folder / "links" / "docker", site.folder / name / "docker")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuidedSite]:
    folder = tmp_path_factory.mktemp("guide")
    with Standalone(folder) as up:
        found = GuidedSite(folder, up)
        fill(found)
        yield found


def statuses_of(line: str) -> set[int]:
    return next((STATUSES[start] for start in STATUSES if line.startswith(start)), {0})


def test_every_command_of_the_guide_does_what_it_says_in_its_order(site: GuidedSite) -> None:
    failed = []
    for line in LINES:
        if line in NOT_RUN or line in SERVERS:
            continue
        done = site.run(*site.words(line))
        if done.returncode not in statuses_of(line) or "Traceback" in done.stderr:
            failed.append((line, done.returncode, done.stdout[-1500:], done.stderr[-1500:]))
        if line in AFTERWARDS:
            site.must(*site.words(AFTERWARDS[line]))
    assert failed == []


@pytest.mark.parametrize("line", SERVERS)
def test_a_server_of_the_guide_starts_and_ends_as_it_is_told(site: GuidedSite, line: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "moorage", *site.words(line)],
        cwd=site.folder,
        env=site.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any("listening" in said for said in process.stdout)
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in rest
    assert process.returncode == 0


def test_each_line_that_is_set_apart_is_one_of_the_guide() -> None:
    assert {*NOT_RUN, *SERVERS, *AFTERWARDS} <= set(LINES)
    for starts in (PLACES, STATUSES):
        assert all(any(line.startswith(start) for line in LINES) for start in starts)
