"""A blob that the disk has cut, as an administrator sees it: in health and in metrics, until a push heals it."""

import json
import urllib.request
from pathlib import Path

import pytest

from e2e.test_collection_seen import config, node, scrape, soon, total
from moorage.oci.digests import Digest
from moorage.storage import paths
from support.images import image, push_image
from support.ports import free_port


def health(port: int) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/debug/health", timeout=10) as answer:
        assert answer.status == 200  # Pushes heal it, so nobody should take the registry away.
        return dict(json.loads(answer.read()))


@pytest.mark.parametrize("damage", ["cut", "grown", "gone"])
def test_a_damaged_blob_is_in_health_and_metrics_until_it_is_pushed_again(tmp_path: Path, damage: str) -> None:
    port = free_port()
    made = image(damage)
    layer = made.blobs[1]
    with node(tmp_path, config(tmp_path, port=port), workers=1) as one:
        push_image(one.client, "app", "1", made)
        file = Path(f"{one.daemon.data}{paths.blob(Digest.parse(layer.digest))}")
        assert health(port) == {}
        assert total(scrape(port), "registry_storage_damaged_blobs_total") == 0
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(layer.body[:-1] if damage == "cut" else layer.body + b"x")
        assert one.client.get_blob("app", layer.digest).status == 404
        assert one.client.head_blob("app", layer.digest).status == 404
        soon(lambda: "degraded: 1 of the blobs" in health(port).get("blobs", ""), "health says that it is damaged")
        assert layer.digest in health(port)["blobs"]
        assert total(scrape(port), "registry_storage_damaged_blobs_total") == 2
        push_image(one.client, "app", "1", made)
        assert one.client.get_blob("app", layer.digest).body == layer.body
        soon(lambda: health(port) == {}, "health forgets what was healed")
