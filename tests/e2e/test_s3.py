"""A registry whose bytes are in a bucket of S3 (SeaweedFS), with both metadata stores, and shared with Distribution."""

import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from e2e.images import build_image, build_index
from e2e.round_trips import RoundTrip
from e2e.tagged import Tagged, assert_serves, push
from e2e.wire import Wire
from support.clients import Skopeo
from support.collecting import collected, run
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer
from support.ports import free_port
from support.registry_client import RegistryClient
from support.s3_client import S3Client
from support.s3_stores import new_root, parameters_of, seaweed


def storage_for(root: str, more: dict[str, object] | None = None, *, is_proxied: bool = True) -> dict[str, object]:
    """The section ``storage`` for a place in the bucket."""
    parameters = {**parameters_of(seaweed(), root), **(more or {})}
    return {"s3": parameters, "delete": {"enabled": True}, "redirect": {"disable": is_proxied}}


def daemon_over(folder: Path, storage: dict[str, object], database: dict[str, object]) -> Daemon:
    config = {"version": 0.1, "storage": storage, "database": database}
    return Daemon(folder, config=yaml.safe_dump(config), workers=2, has_folder=False)


def test_an_image_is_pushed_and_pulled_and_there_after_a_restart(
    tmp_path: Path, skopeo: Skopeo, database: dict[str, object]
) -> None:
    root = new_root()
    daemon = daemon_over(tmp_path, storage_for(root, is_proxied=False), database)
    trip = RoundTrip(daemon, skopeo, tmp_path)
    with daemon:
        trip.push_and_pull()
        assert daemon.worker_pids
    keys = S3Client(seaweed()).keys(root)
    assert [key for key in keys if "/_uploads/" in key or "/probes/" in key or "/writing-" in key] == []
    with daemon:
        trip.pull_and_delete()


def test_a_large_blob_goes_through_in_pieces_and_comes_back_by_ranges(
    tmp_path: Path, database: dict[str, object]
) -> None:
    image = build_image("large", layers=1, layer_bytes=24 << 20)
    with daemon_over(tmp_path, storage_for(new_root(), {"chunksize": 5 << 20}), database) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("group/app", "v1", image)
        (layer,) = image.layers
        assert wire.blob("group/app", layer.digest).body == layer.content


def test_garbage_is_collected_offline_in_a_bucket_but_not_beside_a_registry_that_takes_pushes(tmp_path: Path) -> None:
    root, kept, gone = new_root(), build_image("kept", layers=2), build_image("gone", layers=2)
    daemon = daemon_over(tmp_path, storage_for(root), {"enabled": False})
    with daemon:
        wire = Wire(daemon.address)
        for tag, image in {"kept": kept, "gone": gone}.items():
            wire.push_image("lib/app", tag, image)
        assert wire.delete("lib/app", "manifests", gone.manifest.digest).status == 202
        refused = run(tmp_path / "config.yml")
        assert refused.returncode != 0
        assert "writing-" in refused.stderr
    collected(tmp_path / "config.yml")
    left = [key for key in S3Client(seaweed()).keys(root) if key.endswith("/data")]
    assert {f"sha256:{key.split('/')[-2]}" for key in left} == {part.digest for part in kept.parts}
    with daemon:
        assert_serves(Wire(daemon.address), "lib/app", {"kept": kept})


def test_requests_to_the_bucket_are_counted_by_their_kind(tmp_path: Path) -> None:
    debug = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "storage": storage_for(new_root()),
        "database": {"enabled": False},
        "http": {"debug": {"addr": debug, "prometheus": {"enabled": True}}},
    }
    with Daemon(tmp_path, config=yaml.safe_dump(config), workers=2, has_folder=False) as daemon:
        Wire(daemon.address).push_image("group/app", "v1", build_image("counted"))
        with RegistryClient(debug) as client:
            families = text_string_to_metric_families(client.request("GET", "/metrics").body.decode())
            counts = {
                sample.labels["request"]: sample.value
                for family in families
                for sample in family.samples
                if sample.name == "registry_storage_requests_total"
            }
    assert counts["PutObject"] >= 3
    assert counts["ListObjectsV2"] >= 1


class S3Peer(Peer):
    """A docker-registry, or another *command* that takes the same configuration, over a place in the bucket."""

    def __init__(self, folder: Path, root: str, *, command: str = COMMAND) -> None:
        super().__init__(folder, folder / "unused", command=command)
        s3 = {**parameters_of(seaweed(), root), "secure": False, "forcepathstyle": True}
        config = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"s3": s3, "delete": {"enabled": True}, "redirect": {"disable": True}},
            "http": {"addr": self.address},
        }
        self.config_path.write_text(yaml.safe_dump(config))


def content() -> Tagged:
    return {"oci": build_image("oci", layers=2), "index": build_index("index"), "a-b": build_image("dash")}


@pytest.mark.parametrize(
    "command",
    [
        COMMAND,
        # Not in Debian, and minutes to build: go install github.com/distribution/distribution/v3/cmd/registry@v3.0.0
        pytest.param("distribution-registry-3", marks=pytest.mark.long),
    ],
)
def test_what_distribution_wrote_to_a_bucket_is_served_and_it_serves_ours(tmp_path: Path, command: str) -> None:
    need(command)
    root, both = new_root(), content()
    theirs = S3Peer(tmp_path / "peer", root, command=command)
    with theirs:
        push(Wire(theirs.address), "lib/app", both)
        started = Wire(theirs.address).request("POST", "/v2/lib/app/blobs/uploads/")
        assert started.status == 202
    ours = daemon_over(tmp_path, storage_for(root), {"enabled": False})
    with ours:
        assert_serves(Wire(ours.address), "lib/app", both)
        mine = build_image("ours", layers=2)
        Wire(ours.address).push_image("lib/app", "ours", mine)
        assert Wire(ours.address).request("POST", "/v2/lib/app/blobs/uploads/").status == 202
        both["ours"] = mine
    with theirs:
        assert_serves(Wire(theirs.address), "lib/app", both)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"bucket": "elsewhere"}, "storage.s3.bucket: ListObjectsV2 of bucket elsewhere: there is no such bucket"),
        (
            {"accesskey": "nobody"},
            "storage.s3.accesskey: ListObjectsV2 of bucket registry: the access key",
        ),
        (
            {"secretkey": "wrong"},
            "storage.s3.secretkey: ListObjectsV2 of bucket registry: the signature",
        ),
        ({"regionendpoint": "http://127.0.0.1:9", "maxretries": 0}, "ListObjectsV2 had no answer: Cannot connect"),
    ],
)
def test_a_bucket_that_cannot_be_used_stops_the_start_with_a_sentence(
    tmp_path: Path, parameters: dict[str, object], said: str
) -> None:
    daemon = daemon_over(tmp_path, storage_for(new_root(), parameters), {"enabled": False})
    daemon.start(wait=False)
    assert daemon.process is not None
    try:
        assert daemon.process.wait(60) != 0
    except subprocess.TimeoutExpired:
        daemon.stop()
        raise
    assert said in daemon.log
    assert "Traceback" not in daemon.log
