"""What a caller sends, however large, does not keep an event loop from the others.

The watch of ``conftest.py`` is what fails here: it looks at every loop of every test in this folder.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spec.expect import errors_of, refused
from support import images
from support.daemon import Daemon
from support.in_process import InProcess
from support.loop_watch import LIMIT_S, LoopWatch, environment
from support.registry_client import RegistryClient

MANY = 20_000
"""About as many references as a manifest of 4 MiB has."""
FLAT_BYTES = 4_000_000


@pytest.fixture(params=["sqlite", "layout"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegistryClient]:
    folder = tmp_path if request.param == "sqlite" else None
    with InProcess(folder) as registry, RegistryClient(registry.address, timeout_s=120) as made:
        yield made


def described(count: int) -> list[dict[str, object]]:
    return [{"mediaType": "a/b", "digest": images.missing_digest(str(n)), "size": n} for n in range(count)]


def index_of(count: int, **extra: object) -> bytes:
    value = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": described(count), **extra}
    return json.dumps(value).encode()


def image_of(count: int, config: images.Content) -> bytes:
    settings = {"mediaType": config.media_type, "digest": config.digest, "size": len(config.body)}
    value = {"schemaVersion": 2, "mediaType": images.OCI_MANIFEST, "config": settings, "layers": described(count)}
    return json.dumps(value).encode()


def test_an_index_with_very_many_references_that_are_not_there(client: RegistryClient) -> None:
    response = client.put_manifest("busy/app", "v1", index_of(MANY), images.OCI_INDEX)
    refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")


def test_an_image_with_very_many_layers_that_are_not_there(client: RegistryClient) -> None:
    body = image_of(MANY, images.config("busy"))
    refused(client.put_manifest("busy/app", "v1", body, images.OCI_MANIFEST), {400, 404}, "MANIFEST_BLOB_UNKNOWN")


def test_a_manifest_of_an_unknown_type_with_very_many_references(client: RegistryClient) -> None:
    body = json.dumps({"mediaType": "application/vnd.example.unknown+json", "manifests": described(MANY)}).encode()
    assert client.put_manifest("busy/app", "v1", body, "application/vnd.example.unknown+json").status == 201
    assert client.get_manifest("busy/app", "v1").status == 200
    digest = images.digest_of(body)
    assert client.delete_manifest("busy/app", digest).status == 202


def test_a_manifest_that_is_one_flat_list_is_refused(client: RegistryClient) -> None:
    kind = "application/vnd.example.unknown+json"
    body = b'{"mediaType":"%s","layers":[%s]}' % (kind.encode(), b",".join([b"0"] * (FLAT_BYTES // 2)))
    response = client.put_manifest("busy/app", "flat", body, kind)
    refused(response, {400}, "MANIFEST_INVALID")
    assert b"more than 250000 values" in response.body
    assert client.get_manifest("busy/app", "flat").status == 404


def test_the_answer_to_very_many_missing_references_names_the_first_and_counts_all(client: RegistryClient) -> None:
    response = client.put_manifest("busy/app", "v1", index_of(1000), images.OCI_INDEX)
    errors = errors_of(response)
    assert [error["detail"] for error in errors[:100]] == [images.missing_digest(str(n)) for n in range(100)]
    assert len(errors) == 101
    assert "900" in str(errors[-1]["message"])


def test_a_page_of_large_referrers(client: RegistryClient) -> None:
    subject = images.push_image(client, "busy/app").manifest
    for number in range(20):
        made = images.artifact(number, subject, artifact_type="a/b", annotations={"a": "x" * 4_000_000})
        images.push_image(client, "busy/app", None, made)
    assert client.request("GET", f"/v2/busy/app/referrers/{subject.digest}").status == 200


def wait_for(path: Path) -> None:
    deadline_s = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline_s, "nothing was written"
        time.sleep(0.01)


def test_the_watch_sees_who_keeps_a_loop_busy(tmp_path: Path) -> None:
    async def hold(path: Path) -> None:
        LoopWatch(asyncio.get_running_loop(), str(path))
        end_s = time.thread_time() + 2 * LIMIT_S
        while time.thread_time() < end_s:
            pass
        await asyncio.to_thread(wait_for, path)

    path = tmp_path / "held"
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, hold(path)).result()
    assert "in hold" in path.read_text() or "no stack" in path.read_text()


def test_the_watch_is_in_the_workers_of_daemons(tmp_path: Path) -> None:
    path = tmp_path / "held"
    with Daemon(tmp_path, env=environment(path, limit_s=0)):
        pass
    assert "on an event loop" in path.read_text()
