"""``moorage check`` beside a daemon that serves: damage on the disk is found, taken away, and healed by a push."""

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.databases import postgres_config, sqlite_config
from e2e.images import Image, build_image, write_layout
from e2e.settings import config_for
from e2e.wire import Wire, eventually, sha256
from support.checking import checked, command, differences, run
from support.clients import Skopeo
from support.daemon import Daemon
from support.postgres import Postgres, migrated

REPOSITORY = "group/app"
VERIFIES = "--verify-digests"
REPAIRS = "--repair"


@dataclass
class Site:
    """A daemon, and an image that skopeo has pushed to it."""

    daemon: Daemon
    skopeo: Skopeo
    image: Image
    source: Path
    has_database: bool

    @property
    def config(self) -> Path:
        return self.daemon.folder / "config.yml"

    @property
    def wire(self) -> Wire:
        return Wire(self.daemon.address)

    @property
    def root(self) -> Path:
        return self.daemon.data / "docker/registry"

    @property
    def layer(self) -> str:
        return self.image.layers[0].digest

    def push(self) -> None:
        self.skopeo.copy(f"oci:{self.source}:v1", f"docker://{self.daemon.address}/{REPOSITORY}:v1")

    def path(self, digest: str) -> Path:
        """Where the bytes of a blob lie."""
        encoded = digest.removeprefix("sha256:")
        return self.root / "v2/blobs/sha256" / encoded[:2] / encoded / "data"

    def flip(self, digest: str) -> bytes:
        """Change one bit of a blob on the disk; returns what lies there now."""
        content = bytearray(self.path(digest).read_bytes())
        content[len(content) // 2] ^= 1
        self.path(digest).write_bytes(content)
        return bytes(content)

    def quarantined(self, digest: str) -> list[bytes]:
        folder = self.root / "quarantine/sha256" / digest.removeprefix("sha256:")
        return [path.read_bytes() for path in folder.glob("*")]

    def assert_not_there(self, digest: str) -> None:
        """Nobody is served the blob, and no manifest that needs it is taken."""
        for _ in range(4):  # Both workers.
            assert self.wire.blob(REPOSITORY, digest, "HEAD").status == 404
            answer = self.wire.blob(REPOSITORY, digest)
            assert (answer.status, answer.codes) == (404, ["BLOB_UNKNOWN"])
            refused = self.wire.put_manifest(REPOSITORY, "again", self.image.manifest)
            assert (refused.status, refused.codes) == (400, ["MANIFEST_BLOB_UNKNOWN"])

    def assert_whole(self) -> None:
        """The image can be pulled, and the check finds nothing."""
        for blob in self.image.blobs:
            answer = self.wire.blob(REPOSITORY, blob.digest)
            assert (answer.status, answer.body) == (200, blob.content)
        assert self.wire.manifest(REPOSITORY, "v1").body == self.image.manifest.content
        assert checked(VERIFIES, self.config, status=0)["differences"] == {}


@pytest.fixture(params=["sqlite", "layout"])
def site(request: pytest.FixtureRequest, skopeo: Skopeo, tmp_path: Path) -> Iterator[Site]:
    config = sqlite_config(tmp_path) if request.param == "sqlite" else config_for(tmp_path)
    if request.param == "postgres":
        postgres: Postgres = request.getfixturevalue("postgres")
        config = postgres_config(tmp_path, postgres, migrated(postgres), secret="shared")
    image = build_image("checked", layers=3)
    source = write_layout(tmp_path / "source", {"v1": image})
    with Daemon(tmp_path, config=config, workers=2) as daemon:
        made = Site(daemon, skopeo, image, source, request.param != "layout")
        made.push()
        made.assert_whole()
        yield made


@pytest.mark.parametrize("site", ["sqlite", "postgres", "layout"], indirect=True)
def test_damaged_bytes_are_found_then_quarantined_and_never_served_and_a_push_heals(site: Site) -> None:
    damaged = site.flip(site.layer)
    assert checked(site.config, status=0)["hashed_bytes"] == 0, "the size is right: only reading it shows"
    found = checked(VERIFIES, site.config, status=1)
    assert differences(found) == {("digest-differs", site.layer)}
    assert found["differences"]["digest-differs"] == {"count": 1, "bytes": len(damaged), "repaired": 0}
    assert sha256(damaged) in found["first"][0]["detail"]
    assert site.path(site.layer).read_bytes() == damaged, "without --repair nothing is changed"
    found = checked(VERIFIES, REPAIRS, site.config, status=1)
    assert found["differences"]["digest-differs"]["repaired"] == 1
    assert site.quarantined(site.layer) == [damaged]
    site.assert_not_there(site.layer)
    kind = "bytes-missing" if site.has_database else "layer-dangling"
    assert differences(checked(VERIFIES, site.config, status=1)) == {(kind, site.layer)}
    site.push()
    site.assert_whole()
    assert site.quarantined(site.layer) == [damaged], "kept for whoever wants to look"


def test_a_missing_file_is_found_without_reading_and_a_push_heals(site: Site) -> None:
    site.path(site.layer).unlink()
    kind = "bytes-missing" if site.has_database else "layer-dangling"
    found = checked(site.config, status=1)
    assert differences(found) == {(kind, site.layer)}
    found = checked(REPAIRS, site.config, status=1)
    assert found["differences"][kind]["repaired"] == int(site.has_database)
    site.assert_not_there(site.layer)
    site.push()
    site.assert_whole()


def test_bytes_that_nobody_knows_are_found_and_left_to_garbage_collection(site: Site) -> None:
    stray = b"from elsewhere"
    path = site.path(sha256(stray))
    path.parent.mkdir(parents=True)
    path.write_bytes(stray)
    if not site.has_database:
        assert checked(site.config, status=0)["notes"]["unreferenced"] == {"count": 1, "bytes": len(stray)}
        return
    for words in ((), (REPAIRS,)):
        found = checked(*words, site.config, status=1)
        assert differences(found) == {("bytes-unknown", sha256(stray))}
        assert found["differences"]["bytes-unknown"] == {"count": 1, "bytes": len(stray), "repaired": len(words)}
    found = checked(site.config, status=0)
    assert found["notes"]["awaiting-review"] == {"count": 1, "bytes": len(stray)}
    assert path.exists()


def test_a_check_that_is_killed_goes_on_and_finds_what_one_in_one_go_does(site: Site) -> None:
    contents = [hashlib.shake_128(bytes([number])).digest(64 << 10) for number in range(48)]
    digests = sorted(site.wire.push_blob(REPOSITORY, content) for content in contents)
    broken = digests[::5]
    for number, digest in enumerate(broken):
        if number % 2:
            site.flip(digest)
        else:
            site.path(digest).unlink()
    expected = checked(VERIFIES, site.config, status=1)
    # Twelve seconds at least, of which the first have to be done before it can go on anywhere but at its beginning.
    slow = subprocess.Popen(command(VERIFIES, "--rate", "256KiB", site.config), stdout=subprocess.DEVNULL)
    saved = site.root / "moorage/check.json"
    try:
        eventually("it has noted how far it is", saved.exists, within_s=30)
        assert slow.poll() is None
    finally:
        slow.kill()
        slow.wait()
    position = saved.read_text()
    refused = run("--resume", site.config, status=2)
    assert "--verify-digests" in refused.stderr
    assert saved.read_text() == position
    resumed = checked(VERIFIES, "--resume", site.config, status=1)
    for key in ("blobs", "bytes", "hashed_bytes", "manifests", "differences", "notes"):
        assert resumed[key] == expected[key], key
    assert differences(resumed) == differences(expected)
    assert len(differences(resumed)) == len(broken)
    assert resumed["started_at"] > expected["started_at"]
    assert not saved.exists()
    again = run(VERIFIES, "--resume", site.config, status=1)
    assert "there is no unfinished check" in again.stderr
