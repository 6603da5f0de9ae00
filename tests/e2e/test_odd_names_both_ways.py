"""Names that Debian's docker-registry takes and this registry does not: what it wrote under them is served and kept."""

import shutil
from pathlib import Path

import pytest

from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Wire
from support.collecting import blobs_below, collected
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer

HOSTS = ["Registry.Example.com/team/app", "UPPER/app", "a--B.c/d"]
"""Distribution takes a host before the name, with capitals."""


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    need(COMMAND)
    return Peer(tmp_path / "peer", tmp_path / "data")


@pytest.mark.parametrize("name", HOSTS)
def test_what_the_peer_wrote_under_a_name_with_a_host_is_listed_pulled_and_kept(
    tmp_path: Path, peer: Peer, name: str
) -> None:
    image, gone = build_image("image", layers=2), build_image("gone")
    with peer:
        wire = Wire(peer.address)
        wire.push_image(name, "latest", image)
        wire.push_image(name, gone.manifest.digest, gone)
    config = tmp_path / "config.yml"
    config.write_text(config_for(tmp_path))
    collected(config, "-m")
    assert blobs_below(peer.data) == {image.manifest.digest, *(blob.digest for blob in image.blobs)}
    shutil.copytree(peer.data, tmp_path / "ours" / "data", dirs_exist_ok=True)
    with Daemon(tmp_path / "ours", config=config_for(tmp_path / "ours")) as daemon:
        wire = Wire(daemon.address)
        assert wire.catalogue() == [name]
        assert wire.tags(name) == ["latest"]
        for reference in ("latest", image.manifest.digest):
            assert wire.manifest(name, reference).body == image.manifest.content
        for blob in image.blobs:
            assert wire.blob(name, blob.digest).body == blob.content
        assert wire.delete(name, "manifests", image.manifest.digest).status == 202
        assert wire.manifest(name, "latest").status in (400, 404)


def test_the_peer_lets_a_port_through_but_cannot_store_it(peer: Peer) -> None:
    with peer:
        answer = Wire(peer.address).request("POST", "/v2/host:5000/app/blobs/uploads/")
    assert answer.status == 500
    assert not list(peer.data.rglob("*5000*"))
