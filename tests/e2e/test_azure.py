"""A registry whose bytes are in a container of Azure (Azurite), with both metadata stores."""

import secrets
from pathlib import Path

import yaml
from azure.storage.blob import BlobServiceClient, BlobType

from e2e.images import build_image
from e2e.round_trips import RoundTrip
from e2e.wire import Wire
from support.azurite import ACCOUNT, CONTAINER, KEY, shared_azurite
from support.clients import Skopeo
from support.daemon import Daemon

UPLOAD = "docker/registry/v2/repositories/group/app/_uploads/0b7a4f1e-1b63-4a9f-9f2d-0d8f3a1c2e4d"
PAST = b"2020-01-01T00:00:00Z"


def daemon_over(folder: Path, database: dict[str, object], root: str, *, is_proxied: bool = False) -> Daemon:
    place = {"accountname": ACCOUNT, "accountkey": KEY, "container": CONTAINER, "serviceurl": shared_azurite().url}
    storage = {
        "azure": {**place, "rootdirectory": root},
        "delete": {"enabled": True},
        "redirect": {"disable": is_proxied},
    }
    config = {"version": 0.1, "storage": storage, "database": database}
    return Daemon(folder, config=yaml.safe_dump(config), workers=2, has_folder=False)


def service() -> BlobServiceClient:
    return BlobServiceClient(shared_azurite().url, credential={"account_name": ACCOUNT, "account_key": KEY})


def keys_below(root: str) -> list[str]:
    with service() as client:
        return list(client.get_container_client(CONTAINER).list_blob_names(name_starts_with=root))


def test_an_image_is_pushed_and_pulled_and_there_after_a_restart(
    tmp_path: Path, skopeo: Skopeo, database: dict[str, object]
) -> None:
    root = secrets.token_hex(6)
    daemon = daemon_over(tmp_path, database, root)
    trip = RoundTrip(daemon, skopeo, tmp_path)
    with daemon:
        trip.push_and_pull()
        wire = Wire(daemon.address)
        assert wire.blob("group/app", trip.image.layers[0].digest).status == 307, "clients fetch bytes by signed URLs"
    assert [key for key in keys_below(root) if "/_uploads/" in key or "/probes/" in key] == []
    with daemon:
        trip.pull_and_delete()


def test_a_large_blob_comes_back_whole_beside_a_half_finished_upload_of_another_registry(
    tmp_path: Path, database: dict[str, object]
) -> None:
    root = secrets.token_hex(6)
    with service() as client:
        blobs = client.get_container_client(CONTAINER)
        blobs.upload_blob(f"{root}/{UPLOAD}/startedat", PAST)
        blobs.upload_blob(f"{root}/{UPLOAD}/data", b"half", blob_type=BlobType.APPENDBLOB)
    image = build_image("large", layers=1, layer_bytes=24 << 20)
    with daemon_over(tmp_path, database, root, is_proxied=True) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("group/app", "v1", image)
        (layer,) = image.layers
        assert wire.blob("group/app", layer.digest).body == layer.content
    assert f"{root}/{UPLOAD}/data" in keys_below(root)
