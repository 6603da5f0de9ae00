"""Two copies of one database over one storage: neither removes what the other needs, and one that is alone goes on."""

import json
import shutil
from pathlib import Path

from e2e.databases import end_leases, sqlite_config
from e2e.images import build_image
from e2e.wire import Answer, Wire, eventually
from support.daemon import Daemon


def collect(wire: Wire) -> Answer:
    body = json.dumps({"give_up_undo": True}).encode()
    return wire.request("POST", "/moorage/v1/gc/run", body, {"Content-Type": "application/json"})


def collection_said(wire: Wire) -> str:
    parts = json.loads(wire.request("GET", "/moorage/v1/status").body)["parts"]
    return str([part for part in parts if part["name"] == "collection"])


def files_of(folder: Path, digest: str) -> list[Path]:
    return list((folder / "data/docker/registry/v2/blobs").rglob(f"{digest.partition(':')[2]}/data"))


def test_what_only_a_copy_of_the_database_needs_is_not_removed_while_it_serves(tmp_path: Path) -> None:
    image, first, second = build_image("app"), tmp_path / "first.db", tmp_path / "second.db"
    (copied := tmp_path / "copied").mkdir()
    (copied / "data").symlink_to(tmp_path / "data")
    with Daemon(tmp_path, config=sqlite_config(tmp_path, first), workers=1) as daemon:
        Wire(daemon.address).push_image("app", "1", image)
    shutil.copy(first, second)
    with Daemon(tmp_path, config=sqlite_config(tmp_path, first), workers=1) as daemon:
        wire = Wire(daemon.address)
        with Daemon(copied, config=sqlite_config(tmp_path, second), workers=1) as other:
            for one in (wire, Wire(other.address)):
                eventually("each notices the other", lambda one=one: "another copy" in collection_said(one))  # type: ignore[misc]
            assert wire.delete("app", "manifests", image.manifest.digest).status == 202
            answer = collect(wire)
            assert (answer.status, answer.codes) == (409, ["TWO_DATABASES"])
            assert b"stop the registry that has the wrong one" in answer.body
            assert all(Wire(other.address).blob("app", blob.digest).status == 200 for blob in image.blobs)
            Wire(other.address).push_image("app", "2", build_image("both go on serving"))
        assert "garbage collection is held" in daemon.log + other.log
    with Daemon(tmp_path, config=sqlite_config(tmp_path, first), workers=1) as daemon:
        wire = Wire(daemon.address)

        def goes_on() -> bool:
            end_leases(first)  # As if 15 minutes had passed.
            return collect(wire).status == 200

        assert collect(wire).status == 409, "the other one may be back in a moment"
        eventually("the one that is alone goes on", goes_on)
        layer = image.layers[0].digest
        eventually("garbage is removed", lambda: collect(wire).status == 200 and not files_of(tmp_path, layer))
