"""A registry whose bytes are in a bucket of Google Cloud Storage (the strict fake), with both metadata stores."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image
from e2e.round_trips import RoundTrip
from e2e.wire import Wire
from support.clients import Skopeo
from support.components import need
from support.daemon import Daemon
from support.gcs_fake import EMAIL, GCSFake
from support.gcs_objects import GCSBucket
from support.peer import COMMAND, Peer

SESSION = "application/x-docker-upload-session"
OCTETS = "application/octet-stream"


@pytest.fixture
def fake() -> Iterator[GCSFake]:
    with GCSFake() as fake:
        yield fake


@pytest.fixture
def bucket(fake: GCSFake) -> GCSBucket:
    return fake.make()


def daemon_over(
    folder: Path, fake: GCSFake, database: dict[str, object], *, is_proxied: bool = False, **more: object
) -> Daemon:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.json").write_text(json.dumps(fake.key()))
    gcs = {"bucket": "registry", "keyfile": str(folder / "key.json"), **more}
    storage = {"gcs": gcs, "delete": {"enabled": True}, "redirect": {"disable": is_proxied}}
    config = yaml.safe_dump({"version": 0.1, "storage": storage, "database": database})
    return Daemon(folder, config=config, workers=2, has_folder=False, env={"STORAGE_EMULATOR_HOST": fake.url})


def test_an_image_is_pushed_and_pulled_by_signed_urls_and_there_after_a_restart(
    tmp_path: Path, fake: GCSFake, bucket: GCSBucket, *, skopeo: Skopeo, database: dict[str, object]
) -> None:
    daemon = daemon_over(tmp_path, fake, database)
    trip = RoundTrip(daemon, skopeo, tmp_path)
    with daemon:
        trip.push_and_pull()
    assert [request for request in fake.requests if "X-Goog-Signature" in request]
    assert [key for key in bucket.objects if "/_uploads/" in key or "/probes/" in key] == []
    with daemon:
        trip.pull_and_delete()


def test_a_large_blob_goes_through_in_parts_and_comes_back(
    tmp_path: Path, fake: GCSFake, bucket: GCSBucket, database: dict[str, object]
) -> None:
    bucket.persisted_at_once = 1 << 20
    image = build_image("large", layers=1, layer_bytes=12 << 20)
    with daemon_over(tmp_path, fake, database, is_proxied=True, chunksize=2 << 20) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("group/app", "v1", image)
        (layer,) = image.layers
        assert wire.blob("group/app", layer.digest).body == layer.content
    assert not [session for session in bucket.sessions.values() if session.result is None]


def test_what_another_registry_wrote_is_served_and_it_serves_ours(
    tmp_path: Path, fake: GCSFake, bucket: GCSBucket
) -> None:
    """Debian's has no driver for a bucket: its folder is put there as its driver would, with an unfinished upload."""
    need(COMMAND)
    image, mine = build_image("theirs", layers=2), build_image("ours", layers=2)
    theirs = Peer(tmp_path / "peer", tmp_path / "peer-data")
    with theirs:
        Wire(theirs.address).push_image("lib/app", "theirs", image)
    for path in theirs.data.rglob("*"):
        if path.is_file():
            bucket.store(str(path.relative_to(theirs.data)), path.read_bytes(), OCTETS)
    upload = "docker/registry/v2/repositories/lib/app/_uploads/9a3f/"
    bucket.store(f"{upload}startedat", b"2026-01-01T00:00:00Z", OCTETS)
    bucket.store(f"{upload}data", b"tail", SESSION, metadata={"Session-URI": "https://x.invalid/", "Offset": "262144"})
    with daemon_over(tmp_path / "ours", fake, {"enabled": False}, is_proxied=True) as daemon:
        wire = Wire(daemon.address)
        assert wire.manifest("lib/app", "theirs").body == image.manifest.content
        for blob in image.blobs:
            assert wire.blob("lib/app", blob.digest).body == blob.content
        wire.push_image("lib/app", "ours", mine)
        assert sorted(wire.tags("lib/app")) == ["ours", "theirs"]
    for name, found in bucket.objects.items():
        if found.content_type != SESSION:
            (theirs.data / name).parent.mkdir(parents=True, exist_ok=True)
            (theirs.data / name).write_bytes(found.content)
    with theirs:
        wire = Wire(theirs.address)
        assert sorted(wire.tags("lib/app")) == ["ours", "theirs"]
        assert wire.manifest("lib/app", "ours").body == mine.manifest.content
        for blob in mine.blobs:
            assert wire.blob("lib/app", blob.digest).body == blob.content


@pytest.mark.parametrize(
    ("denied", "bucket_name", "said"),
    [
        ("", "elsewhere", "storage.gcs.bucket: there is no bucket elsewhere; make it"),
        ("storage.objects.create", "registry", f"storage.gcs.bucket: {EMAIL} may not write objects in the bucket"),
    ],
)
def test_a_bucket_that_cannot_be_used_stops_the_start_with_a_sentence(
    tmp_path: Path, fake: GCSFake, bucket: GCSBucket, *, denied: str, bucket_name: str, said: str
) -> None:
    fake.denied = {denied}
    daemon = daemon_over(tmp_path, fake, {"enabled": False}, bucket=bucket_name)
    with pytest.raises(RuntimeError, match="ended with 1"):
        daemon.start()
    assert said in daemon.log
    assert "Traceback" not in daemon.log


def test_without_the_extra_the_start_says_what_to_type(tmp_path: Path, fake: GCSFake, bucket: GCSBucket) -> None:
    (tmp_path / "google").mkdir()
    (tmp_path / "google" / "__init__.py").write_text("")
    daemon = daemon_over(tmp_path, fake, {"enabled": False})
    daemon.env["PYTHONPATH"] = str(tmp_path)
    with pytest.raises(RuntimeError, match="ended with 1"):
        daemon.start()
    assert "type: pip install 'moorage[gcs]'" in daemon.log
    assert "Traceback" not in daemon.log
