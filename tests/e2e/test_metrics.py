"""Metrics of a node with two workers, as Prometheus scrapes them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from spec.wire import Wire
from support.daemon import Daemon
from support.ports import free_port
from support.registry_client import RegistryClient

ODD = ("PROPFIND", "MKCOL", "LOCK", "SEARCH", "REPORT")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Node:
    def __init__(self, daemon: Daemon, debug: str) -> None:
        self.daemon = daemon
        self.debug = debug

    def scrape(self) -> Samples:
        with RegistryClient(self.debug) as client:
            text = client.request("GET", "/metrics").body.decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def ask(self, method: str, path: str, body: bytes = b"") -> int:
        with RegistryClient(self.daemon.address) as client:  # A new connection: any worker may get it.
            return client.request(method, path, body=body or None).status


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    debug = f"127.0.0.1:{free_port()}"
    limiter = {
        "name": "each",
        "match": {"type": "IP"},
        "precedence": 1,
        "limit": {"rate": 10000, "period": "second", "burst": 10000},
        "action": {"hard_action": "block"},
    }
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "database": {"enabled": "prefer", "sqlite": str(folder / "moorage.db")},
        "http": {"debug": {"addr": debug, "prometheus": {"enabled": True}}},
        "rate_limiter": {"enabled": True, "limiters": [limiter]},
        "redis": {"ratelimiter": {"enabled": True, "addr": "127.0.0.1:1"}},
        "health": {"file": [{"file": str(folder / "down"), "interval": "10ms"}]},
    }
    with Daemon(folder, config=yaml.safe_dump(config), workers=2) as daemon:
        yield Node(daemon, debug)


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def total(samples: Samples, metric: str, /, **labels: str) -> float:
    return sum(
        value for (found, held), value in samples.items() if found == metric and labels.items() <= dict(held).items()
    )


def test_every_request_of_every_worker_is_counted_once(node: Node) -> None:
    before = node.scrape()
    assert {node.ask("GET", "/v2/") for _ in range(40)} == {200}
    after = node.scrape()
    labels = {"code": "200", "method": "GET", "route": "/v2/"}
    for name in ("registry_http_requests_total", "registry_http_request_duration_seconds_count"):
        assert sample(after, name, **labels) - sample(before, name, **labels) == 40


def test_strangers_make_no_new_labels(node: Node) -> None:
    before = node.scrape()
    for number, method in enumerate(ODD):
        assert node.ask(method, "/v2/") == 405
        assert node.ask("GET", f"/nothing/{number}") == 404
        assert node.ask("GET", f"/v2/some/thing{number}/manifests/latest") == 404
    after = node.scrape()
    new = {held for (name, held) in after.keys() - before.keys() if name == "registry_http_requests_total"}
    assert len(new) <= 3
    assert total(after, "registry_http_requests_total", method="other", code="405") >= len(ODD)
    assert total(after, "registry_http_requests_total", route="none", code="404") >= len(ODD)


def test_what_is_below_a_push_and_a_pull_is_counted(node: Node) -> None:
    before = node.scrape()
    content = b"x" * 5000
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert node.ask("POST", f"/v2/app/blobs/uploads/?digest={digest}", content) == 201
    assert node.ask("POST", f"/v2/other/blobs/uploads/?mount={digest}&from=app") == 201
    assert node.ask("POST", f"/v2/app/blobs/uploads/?digest=sha256:{'0' * 64}", content) == 400
    assert node.ask("GET", f"/v2/app/blobs/{digest}") == 200
    after = node.scrape()

    def grew(metric: str, **labels: str) -> float:
        return total(after, metric, **labels) - total(before, metric, **labels)

    assert grew("registry_storage_action_seconds_count", driver="filesystem") > 0
    assert grew("registry_database_queries_total") > 0
    assert grew("registry_database_query_duration_seconds_count", name="transaction") > 0
    assert grew("registry_storage_blob_download_bytes_sum", redirect="false") == 5000
    assert grew("registry_storage_blob_upload_bytes_sum") == 5000
    assert grew("registry_storage_blob_upload_bytes_count") == 1
    assert grew("registry_http_request_size_bytes_sum", method="POST") == 2 * 5000
    assert grew("registry_rate_limiter_requests_total", limiter="each", result="allowed") == 4
    assert total(after, "registry_redis_failures_total", instance="redis.ratelimiter") > 0


def test_in_flight_is_what_is_in_flight_and_a_killed_worker_leaves_nothing(node: Node) -> None:
    assert total(node.scrape(), "registry_http_in_flight_requests") == 0
    head = f"POST /v2/app/blobs/uploads/?digest=sha256:{'0' * 64} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1"
    with Wire(node.daemon.address) as client:
        client.send(head.encode())
        while total(node.scrape(), "registry_http_in_flight_requests") != 1:
            pass
        for pid in node.daemon.worker_pids:
            node.daemon.kill_worker(pid)
    node.daemon.wait_ready()
    while True:
        try:
            if total(node.scrape(), "registry_http_in_flight_requests") == 0:
                break
        except OSError:  # The other worker is not back yet.
            continue


@pytest.mark.timeout(60)
def test_a_check_that_fails_is_seen(node: Node) -> None:
    down = node.daemon.folder / "down"
    Path(down).touch()
    while total(node.scrape(), "registry_health_check_failing", check=str(down)) != 2:
        pass
    Path(down).unlink()
    while total(node.scrape(), "registry_health_check_failing", check=str(down)) != 0:
        pass


def test_the_version_is_told(node: Node) -> None:
    assert total(node.scrape(), "gitlab_build_info", product="moorage") == 1


@pytest.mark.timeout(120)
def test_pools_of_every_process_are_added_up(node: Node) -> None:
    processes = len(node.daemon.worker_pids) + len(node.daemon.keeper_pids)
    name, labels = "registry_redis_pool_stats_max_conns", {"instance": "redis.ratelimiter"}
    while sample(node.scrape(), name, **labels) != 10 * processes:  # Each looks when its time comes.
        pass
    assert sample(node.scrape(), "registry_redis_pool_stats_idle_conns", **labels) == 0


def test_the_database_is_told_of_by_itself(node: Node) -> None:
    with RegistryClient(node.debug) as client:
        answer = client.request("GET", "/debug/health/db")
        assert client.request("POST", "/debug/health/db").status == 404
    assert answer.status == 200
    found = json.loads(answer.body)
    assert found["overall_status"] == "healthy"
    assert found["primary"]["status"] == "online"
    assert found["primary"]["address"].endswith("moorage.db")
    assert "replicas" not in found
