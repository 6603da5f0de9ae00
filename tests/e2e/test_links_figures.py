"""The figures of ``storage.cache.blobdescriptor``: requests to a bucket, and CPU, for each answer."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image
from e2e.test_s3 import storage_for
from e2e.wire import Answer, Wire
from support.daemon import Daemon
from support.ports import free_port
from support.redis import Redis
from support.s3_stores import new_root

ROUNDS = 500
WARM = 5


def store_requests(debug: str) -> float:
    """How many requests the daemon has sent to its bucket."""
    text = Wire(debug).request("GET", "/metrics").body.decode()
    found = re.findall(r"^registry_storage_action_seconds_count\{([^}]*)\} ([\d.e+]+)$", text, re.MULTILINE)
    assert found, text[:500]
    # A URL is signed here; nobody is asked.
    return sum(float(number) for labels, number in found if "URLFor" not in labels)


def cpu_s(daemon: Daemon) -> float:
    """Seconds of CPU that its worker has used."""
    (pid,) = daemon.worker_pids
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.long
@pytest.mark.parametrize("cache", ["none", "inmemory", "redis"])
def test_a_link_that_is_remembered_costs_no_request_to_the_bucket(
    tmp_path: Path, cache: str, record_property: Callable[[str, object], None]
) -> None:
    with Redis() as redis:
        debug = f"127.0.0.1:{free_port()}"
        storage = storage_for(new_root(), is_proxied=False) | {"cache": {"blobdescriptor": cache}}
        config = {
            "version": 0.1,
            "http": {"debug": {"addr": debug, "prometheus": {"enabled": True}}},
            "storage": storage,
            "redis": {"addr": redis.address, "readtimeout": "10s"},
            "log": {"accesslog": {"disabled": True}},
        }
        with Daemon(tmp_path, config=yaml.safe_dump(config), workers=1, has_folder=False) as daemon:
            wire, image = Wire(daemon.address, keep=True), build_image("figures", layers=1, layer_bytes=100)
            wire.push_image("group/app", "v1", image)
            (layer,) = image.layers
            asked: dict[str, Callable[[], Answer]] = {
                "GET manifest by digest": lambda: wire.manifest("group/app", image.manifest.digest),
                "HEAD blob": lambda: wire.blob("group/app", layer.digest, "HEAD"),
                "GET blob": lambda: wire.blob("group/app", layer.digest),
            }
            for what, ask in asked.items():
                for _ in range(WARM):
                    assert ask().status in {200, 307}
                requests, seconds = store_requests(debug), cpu_s(daemon)
                for _ in range(ROUNDS):
                    ask()
                each = (store_requests(debug) - requests) / ROUNDS
                cpu_us = (cpu_s(daemon) - seconds) / ROUNDS * 1e6
                line = f"{cache}: {what}: {each:.3f} requests to the bucket, {cpu_us:.0f} us of CPU"
                print(line)  # noqa: T201 - the figures are what it is run for
                record_property(what, line)
                assert (each < 0.01) == (cache != "none"), line
            wire.close()
