"""Copies between two registries in this process, by the command."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from support.images import (
    DOCKER_LIST,
    Image,
    artifact,
    docker_image,
    image,
    index,
    missing_digest,
    platform_index,
    push_blobs,
    push_image,
    push_manifest,
)
from support.in_process import InProcess
from support.registry_client import RegistryClient

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})


class Site:
    """A source and a target, and a client of each."""

    def __init__(self, source: InProcess, target: InProcess) -> None:
        self.source, self.target = RegistryClient(source.address), RegistryClient(target.address)

    def copy(self, source: str, target: str, *options: str, status: int = 0) -> dict[str, object]:
        """Run the command, and return what it prints as JSON."""
        words = ["copy", f"{self.source.address}/{source}", f"{self.target.address}/{target}", "--json", *options]
        done = RUNNER.invoke(app, words)
        assert done.exit_code == status, (done.stdout, done.stderr, done.exception)
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    def has(self, repository: str, reference: str, digest: str) -> bool:
        """Whether the target has a manifest, byte for byte."""
        ours = self.source.get_manifest("app", digest)
        there = self.target.get_manifest(repository, reference)
        return there.status == 200 and there.body == ours.body and there.headers["Docker-Content-Digest"] == digest


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    with InProcess(tmp_path / "source") as source, InProcess(tmp_path / "target") as target:
        found = Site(source, target)
        with found.source, found.target:
            yield found


def results(found: dict[str, object]) -> list[str]:
    references = found["references"]
    assert isinstance(references, list)
    return [reference["result"] for reference in references]


def test_a_tag_is_copied_byte_for_byte_and_a_repeat_moves_nothing(site: Site) -> None:
    made = push_image(site.source, "app", "1")
    first = site.copy("app:1", "mirror/app")
    assert results(first) == ["copied"]
    assert site.has("mirror/app", "1", made.digest)
    for part in made.blobs:
        assert site.target.get_blob("mirror/app", part.digest).body == part.body
    again = site.copy("app:1", "mirror/app")
    assert results(again) == ["present"]
    assert again["manifests"] == 0
    assert again["blobs"] == {kind: {"count": 0, "bytes": 0} for kind in ("present", "mounted", "copied")}
