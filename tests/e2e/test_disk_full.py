"""A full disk under the data folder: pushes are refused with 507, the rest goes on, and space is all it needs."""

import contextlib
import json
import os
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image, write_layout
from e2e.settings import config_for
from e2e.wire import PUSH_STYLES, PushStyle, Wire, eventually, sha256
from moorage.room import DATABASE_FLOOR_BYTES, STORAGE_FLOOR_BYTES
from moorage.sql.sqlite.reserve import RESERVE_BYTES
from support.clients import Skopeo, attempt, run
from support.collecting import collected
from support.components import need
from support.daemon import Daemon
from support.ports import free_port

MIB = 1 << 20
JSON = {"Content-Type": "application/json"}
DISK_BYTES = 96 * MIB
SLACK_BYTES = MIB
"""What may be taken by folders, small files and the database's log for a refused push."""


@dataclass
class SmallDisk:
    """A disk of 96 MiB under a daemon's data folder."""

    path: Path

    @property
    def free_bytes(self) -> int:
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    @property
    def filler(self) -> Path:
        return self.path / "filler"

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Take all but *leave_bytes* of what is free; with 0, truly the last block."""
        piece = b"\xa5" * (64 << 10)
        # The last blocks may not be enough for a file that is scattered already: a new one gets them.
        for filler in (self.filler, self.path / "filler-rest"):
            with filler.open("ab", buffering=0) as file:
                for _ in range(10):
                    with contextlib.suppress(OSError):
                        while self.free_bytes > leave_bytes:
                            file.write(piece[: max(1024, min(len(piece), self.free_bytes - leave_bytes))])
                    # ext4 reserves a little more than it takes, and gives that back when it writes.
                    os.fsync(file.fileno())
                    if self.free_bytes <= leave_bytes:
                        return
        pytest.fail(f"the disk cannot be filled: {self.free_bytes} bytes are free")

    def make_room(self) -> None:
        self.filler.unlink()
        (self.path / "filler-rest").unlink(missing_ok=True)


@dataclass
class Place:
    """A daemon on a small disk, and where its health is told."""

    daemon: Daemon
    disk: SmallDisk
    wire: Wire
    debug: str
    floor_bytes: int
    """What pushes leave free."""

    @property
    def is_sqlite(self) -> bool:
        return self.floor_bytes == DATABASE_FLOOR_BYTES

    def health(self) -> tuple[int, dict[str, object]]:
        """Status and body of the health report."""
        try:
            with urllib.request.urlopen(f"http://{self.debug}/debug/health", timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def collect(self) -> None:
        """Collect garbage at once, online."""
        answer = self.wire.request("POST", "/moorage/v1/gc/run", b'{"give_up_undo": true}', JSON)
        assert answer.status == 200, answer.body

    def is_degraded(self) -> bool:
        status, told = self.health()
        return status == 200 and any("storage" in name and "degraded" in str(text) for name, text in told.items())


def mount(kind: str, data: Path, *, image: Path) -> None:
    """Put a file system of 96 MiB at *data*."""
    options: tuple[str | Path, ...] = ("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs")
    if kind == "ext4":
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        # No journal and no reserve: what statvfs calls free is what a writer gets.
        run("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", "-N", "4096", image)
        options = ("-o", "loop", image)
    status, output = attempt("mount", *options, data)
    if status != 0:
        # A container's root may not mount.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"cannot mount {kind}: {output}")


@pytest.fixture(params=["tmpfs-layout", "ext4-layout", "tmpfs-sqlite", "ext4-sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    need("mount", "mkfs.ext4", root=True)
    data = tmp_path / "data"
    data.mkdir()
    kind, metadata = request.param.split("-")
    mount(kind, data, image=tmp_path / "disk")
    try:
        debug = f"127.0.0.1:{free_port()}"
        health = {"storagedriver": {"enabled": True, "interval": "500ms", "threshold": 1}}
        config = config_for(tmp_path, http={"debug": {"addr": debug}}, health=health)
        if metadata == "sqlite":
            config += yaml.safe_dump({"database": {"enabled": True, "sqlite": str(data / "moorage.db")}})
        floor_bytes = DATABASE_FLOOR_BYTES if metadata == "sqlite" else STORAGE_FLOOR_BYTES
        with Daemon(tmp_path, config=config, workers=2) as daemon:
            if metadata == "sqlite":
                # It is made beside serving, and would take what a test leaves free.
                reserve = data / "moorage.db-reserve"
                eventually("the reserve is made", lambda: reserve.exists() and reserve.stat().st_size >= RESERVE_BYTES)
            yield Place(daemon, SmallDisk(data), Wire(daemon.address), debug, floor_bytes)
    finally:
        run("umount", data)


def refused(place: Place, repository: str, content: bytes, style: PushStyle) -> None:
    """A push that finds no room answers 507 with an error body."""
    answer = place.wire.try_blob(repository, content, style)
    assert answer.status == 507, (style, answer.status, answer.body)
    assert answer.codes
    assert place.wire.blob(repository, sha256(content)).status == 404


@pytest.mark.parametrize("style", PUSH_STYLES)
def test_a_blob_that_does_not_fit_is_refused_and_leaves_its_room_to_others(
    style: PushStyle, place: Place, repository: str
) -> None:
    small = random.Random("small").randbytes(100_000)
    place.disk.fill(leave_bytes=place.floor_bytes + 6 * MIB)
    large = random.Random(f"large {style}").randbytes(9 * MIB)
    for _ in range(3):
        refused(place, repository, large, style)
    if style != "chunked":
        # Chunks that were acknowledged stay for a resume; a push refused in its only request leaves nothing.
        eventually(
            "the refused bytes are gone", lambda: place.disk.free_bytes >= place.floor_bytes + 6 * MIB - SLACK_BYTES
        )
        place.wire.push_blob(repository, small)
    place.disk.make_room()
    place.wire.push_blob(repository, large, style)
    assert place.wire.blob(repository, sha256(large)).body == large


def test_a_chunked_upload_refused_for_room_keeps_its_chunks_and_goes_on_when_there_is_room(
    place: Place, repository: str
) -> None:
    content = random.Random("chunks").randbytes(8 * MIB)
    place.disk.fill(leave_bytes=place.floor_bytes + 4 * MIB)
    answer = place.wire.patch(place.wire.start_upload(repository), content[: 2 * MIB], 0)
    assert answer.status == 202
    location = answer.location
    full = place.wire.patch(location, content[2 * MIB :], 2 * MIB)
    assert full.status == 507, (full.status, full.body)
    assert full.codes
    status = place.wire.request("GET", location)
    assert status.status == 204
    assert status.offset >= 2 * MIB
    place.disk.make_room()
    answer = place.wire.patch(status.location, content[status.offset :], status.offset)
    assert answer.status == 202, (answer.status, answer.body)
    assert place.wire.finish(answer.location, sha256(content)).status == 201
    assert place.wire.blob(repository, sha256(content)).body == content


def test_on_a_full_disk_manifests_are_refused_whole(place: Place, repository: str) -> None:
    first, second = build_image(f"{repository}/1", layers=1), build_image(f"{repository}/2", layers=1)
    place.wire.push_image(repository, "v1", first)
    for blob in second.blobs:
        place.wire.push_blob(repository, blob.content)
    place.disk.fill()
    for reference in ("v1", "v2", second.manifest.digest):
        answer = place.wire.put_manifest(repository, reference, second.manifest)
        assert answer.status == 507, (reference, answer.status, answer.body)
        assert answer.codes
    assert place.wire.manifest(repository, "v1").body == first.manifest.content
    assert place.wire.manifest(repository, "v2").status == 404
    assert place.wire.tags(repository) == ["v1"]
    place.disk.make_room()
    assert place.wire.put_manifest(repository, "v2", second.manifest).status == 201
    assert place.wire.manifest(repository, "v2").body == second.manifest.content


def test_on_a_full_disk_pulls_and_deletes_go_on(place: Place, repository: str) -> None:
    images = {tag: build_image(f"{repository}/{tag}") for tag in ("kept", "untagged", "deleted")}
    for tag, image in images.items():
        place.wire.push_image(repository, tag, image)
    spare = place.wire.push_blob(repository, b"spare")
    place.disk.fill()
    for tag, image in images.items():
        assert place.wire.manifest(repository, tag).body == image.manifest.content
        for blob in image.blobs:
            assert place.wire.blob(repository, blob.digest).body == blob.content
    assert place.wire.delete(repository, "manifests", "untagged").status == 202
    assert place.wire.delete(repository, "manifests", images["deleted"].manifest.digest).status == 202
    assert place.wire.delete(repository, "blobs", spare).status == 202
    assert place.wire.tags(repository) == ["kept"]
    assert place.wire.manifest(repository, images["deleted"].manifest.digest).status == 404
    assert place.wire.blob(repository, spare).status == 404


def test_health_says_degraded_while_the_disk_is_full_and_pulls_are_not_stopped(place: Place, repository: str) -> None:
    image = build_image(repository)
    place.wire.push_image(repository, "v1", image)
    assert place.health() == (200, {})
    place.disk.fill()
    eventually("health says degraded", place.is_degraded, within_s=30, every_s=0.2)
    assert place.wire.manifest(repository, "v1").status == 200
    place.disk.make_room()
    eventually("health is good again", lambda: place.health() == (200, {}), within_s=30, every_s=0.2)
    place.wire.push_image(repository, "v2", build_image(f"{repository}/2"))


def test_a_client_is_told_of_the_full_disk(place: Place, repository: str, skopeo: Skopeo, tmp_path: Path) -> None:
    place.disk.fill(leave_bytes=MIB)
    image = build_image(repository, layers=1, layer_bytes=4 * MIB)
    source = f"oci:{write_layout(tmp_path / 'source', {'v1': image})}:v1"
    target = f"docker://{place.daemon.address}/{repository}:v1"
    status, output = skopeo.attempt("copy", *skopeo.plain, "--preserve-digests", source, target)
    assert status != 0
    assert "507" in output or "no space" in output.lower(), output
    place.disk.make_room()
    skopeo.copy(source, target)
    assert place.wire.manifest(repository, "v1").body == image.manifest.content


def test_on_a_full_disk_the_registry_starts_and_garbage_can_be_collected(place: Place, repository: str) -> None:
    image = build_image("kept", layers=1)
    place.wire.push_image(repository, "1", image)
    place.wire.push_blob(repository, random.Random("garbage").randbytes(4 * MIB))
    place.disk.fill()
    place.daemon.stop()
    place.daemon.start()
    assert place.wire.manifest(repository, "1").body == image.manifest.content
    if place.is_sqlite:  # Collection is online there: see the tests below.
        assert place.wire.delete(repository, "manifests", "1").status == 202
        return
    place.daemon.stop()
    said = collected(place.daemon.folder / "config.yml", "-m")
    assert (said["blobs_deleted"], said["freed_bytes"]) == (1, 4 * MIB)
    place.daemon.start()
    place.wire.push_blob(repository, random.Random("more").randbytes(2 * MIB))
    assert place.wire.manifest(repository, "1").body == image.manifest.content


def test_pushes_stop_while_there_is_room_for_deletions_undo_and_collection(place: Place, repository: str) -> None:
    images = {str(number): build_image(f"{repository}/{number}", layers=1) for number in range(40)}
    for tag, image in images.items():
        place.wire.push_image(repository, tag, image)
    unfinished = place.wire.start_upload(repository)
    place.disk.fill(leave_bytes=place.floor_bytes - 64 * 1024)
    refused(place, repository, b"new", "monolithic")
    assert place.wire.request("POST", f"/v2/{repository}/blobs/uploads/").status == 507
    assert place.wire.patch(unfinished, bytes(MIB), 0).status == 507
    assert place.wire.put_manifest(repository, "again", images["0"].manifest).status == 507
    mount = f"/v2/other/{repository}/blobs/uploads/?mount={images['0'].blobs[0].digest}&from={repository}"
    assert place.wire.request("POST", mount).status == 507
    for tag, image in images.items():
        reference = tag if int(tag) % 2 else image.manifest.digest
        assert place.wire.delete(repository, "manifests", reference).status == 202, tag
    assert place.wire.tags(repository) == []
    assert place.wire.request("DELETE", unfinished).status == 204
    if place.is_sqlite:
        undone = place.wire.request("POST", f"/moorage/v1/tag/undo?repository={repository}&tag=1", b"{}", JSON)
        assert undone.status == 200, undone.body
        assert place.wire.manifest(repository, "1").body == images["1"].manifest.content
        place.collect()
    place.disk.make_room()
    place.wire.push_image(repository, "again", images["0"])


def test_a_disk_that_others_fill_to_the_last_byte_is_emptied_by_deletions_and_collection(
    place: Place, repository: str
) -> None:
    """There is nobody else who could make room: all that is on the disk is wanted, or is the registry's."""
    large = build_image(repository, layers=1, layer_bytes=20 * MIB)
    place.wire.push_image(repository, "large", large)
    others = {str(number): build_image(f"{repository}/{number}", layers=1) for number in range(60)}
    for tag, image in others.items():
        place.wire.push_image(repository, tag, image)
    place.disk.fill()
    place.daemon.stop()
    place.disk.fill()
    place.daemon.start()
    for tag in others:
        assert place.wire.delete(repository, "manifests", tag).status == 202, tag
    assert place.wire.delete(repository, "manifests", large.manifest.digest).status == 202
    assert place.wire.put_manifest(repository, "again", large.manifest).status == 507
    if not place.is_sqlite:
        return  # Collection is offline: see the test above.
    place.collect()
    eventually("pushes work", lambda: place.wire.try_blob(repository, b"new", "monolithic").status == 201)
