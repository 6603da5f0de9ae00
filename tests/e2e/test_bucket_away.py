"""A store comes back without its disk under a running registry: nothing is acknowledged that would be lost with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image
from e2e.test_volume_away import health
from e2e.wire import Wire, eventually
from support.daemon import Daemon
from support.ports import free_port
from support.s3_stores import parameters_of
from support.versitygw import VersityGW


@pytest.fixture
def store() -> Iterator[VersityGW]:
    with VersityGW() as running:
        yield running


def put_in_place(store: VersityGW, bucket: Path, *, of: Path) -> None:
    """Let *of* be the bucket that is served, at the same address; what was there goes to *bucket*."""
    store.stop()
    served = store.folder / "data" / store.bucket
    served.rename(bucket)
    of.rename(served)
    store.start()


def test_a_worker_that_ends_while_the_bucket_is_away_is_replaced_once_it_answers(
    store: VersityGW, tmp_path: Path
) -> None:
    # A lease in the bucket that could not be renewed ends its worker: then each of them has to be replaced.
    config = {"version": 0.1, "storage": {"s3": parameters_of(store, "")}, "database": {"enabled": False}}
    image = build_image("away")
    with Daemon(tmp_path, config=yaml.safe_dump(config), workers=1, has_folder=False) as daemon:
        Wire(daemon.address).push_image("app", "1", image)
        store.stop()
        (killed,) = daemon.worker_pids
        daemon.kill_worker(killed)
        eventually("the new one cannot begin", lambda: "the worker cannot start" in daemon.log, within_s=120)
        store.start()
        daemon.wait_ready()
        assert Wire(daemon.address).manifest("app", "1").body == image.manifest.content


@pytest.mark.parametrize("kind", ["sqlite", "layout"])
def test_nothing_is_pushed_into_an_empty_bucket_that_came_in_anothers_place(
    kind: str, store: VersityGW, tmp_path: Path
) -> None:
    database = {"enabled": True, "sqlite": str(tmp_path / "moorage.db")} if kind == "sqlite" else {"enabled": False}
    debug = f"127.0.0.1:{free_port()}"
    storage = {"s3": parameters_of(store, ""), "delete": {"enabled": True}, "redirect": {"disable": kind == "layout"}}
    config = {"version": 0.1, "storage": storage, "database": database, "http": {"debug": {"addr": debug}}}
    config["health"] = {"storagedriver": {"enabled": True, "interval": "200ms", "threshold": 1}}
    right, empty = store.folder / "right", store.folder / "empty"
    with Daemon(tmp_path, config=yaml.safe_dump(config), workers=1, has_folder=False) as daemon:
        # The mark of link files comes with the first image, and with the next start it is watched.
        Wire(daemon.address).push_image("app", "1", build_image("first"))
    with Daemon(tmp_path, config=yaml.safe_dump(config), workers=1, has_folder=False) as daemon:
        wire = Wire(daemon.address)
        first, second = build_image("first"), build_image("second")
        assert wire.manifest("app", "1").status == 200
        assert wire.request("HEAD", f"/v2/app/blobs/{first.blobs[0].digest}").status == 200
        empty.mkdir()
        put_in_place(store, right, of=empty)
        for blob in second.blobs:
            assert wire.try_blob("app", blob.content, "monolithic").status == 503
        assert wire.put_manifest("app", "2", second.manifest).status in (400, 503)
        # A database has manifests in it, but once health has noticed, the node refuses whatever it is asked.
        assert wire.manifest("app", "1").status in ((200, 503) if kind == "sqlite" else (503,))
        assert wire.blob("app", first.blobs[0].digest).status == 503, "it does not say that there is none"
        assert wire.request("HEAD", f"/v2/app/blobs/{first.blobs[0].digest}").status == 503
        eventually("health tells", lambda: health(debug) == 503, within_s=60)
        assert not [path for path in (store.folder / "data" / store.bucket).rglob("data") if path.is_file()]
        put_in_place(store, empty, of=right)
        eventually("pushes go on", lambda: wire.try_blob("app", b"again", "monolithic").status == 201, within_s=60)
        wire.push_image("app", "2", second)
        assert wire.manifest("app", "1").body == first.manifest.content
        assert "another storage answers" in daemon.log
