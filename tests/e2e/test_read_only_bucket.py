"""A bucket in which nobody may write: what is there is served, and what cannot be done says which right it lacks."""

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


def configured(store: VersityGW, folder: Path, debug: str, *, is_read_only: bool, has_check: bool = False) -> str:
    storage: dict[str, object] = {"s3": parameters_of(store, ""), "delete": {"enabled": True}}
    storage |= {"redirect": {"disable": True}, "maintenance": {"readonly": {"enabled": is_read_only}}}
    config: dict[str, object] = {"version": 0.1, "storage": storage, "http": {"debug": {"addr": debug}}}
    config["database"] = {"enabled": True, "sqlite": str(folder / "moorage.db")}
    if has_check:
        config["health"] = {"storagedriver": {"enabled": True, "interval": "100ms", "threshold": 1}}
    return yaml.safe_dump(config)


@pytest.mark.parametrize("has_check", [False, True])
def test_it_is_served_by_a_registry_that_is_read_only_and_one_that_is_not_ends_in_order(
    store: VersityGW, tmp_path: Path, *, has_check: bool
) -> None:
    image, debug = build_image("app"), f"127.0.0.1:{free_port()}"
    with Daemon(tmp_path, config=configured(store, tmp_path, debug, is_read_only=False), has_folder=False) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("app", "1", image)
        store.stop()
        store.start(is_read_only=True)
        assert wire.try_blob("app", b"more", "monolithic").status == 503
        assert wire.blob("app", image.layers[0].digest).status == 200
    assert "grant them s3:PutObject" in daemon.log
    assert "a lease in storage could not be removed; it ends by itself" in daemon.log
    assert "cannot start" not in daemon.log
    config = configured(store, tmp_path, debug, is_read_only=True, has_check=has_check)
    with Daemon(tmp_path, config=config, has_folder=False) as daemon:
        wire = Wire(daemon.address)
        eventually("it has been looked at", lambda: health(debug) == 200)
        assert wire.blob("app", image.layers[0].digest).status == 200
        assert wire.request("GET", "/moorage/v1/status").json()["state"] in ("good", "look")
        assert wire.try_blob("app", b"more", "monolithic").status == 405
        store.stop()
        eventually("a store that is away is still noticed", lambda: health(debug) == 503)
