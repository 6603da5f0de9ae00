"""Clients that hang up, drip, idle, lie or crowd: each gets its due, and the others do not notice."""

import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.checks import upload_folders
from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Answer, Wire, connect, eventually, head, sha256, status_of, with_query
from support.daemon import Daemon

MIB = 1 << 20
OCTET_STREAM = "application/octet-stream"


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon of its own, for tests that count connections, descriptors or folders."""
    folder = tmp_path_factory.mktemp("crowded")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    with Daemon(folder, config=config_for(folder), workers=2) as daemon:
        yield daemon
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hang_up_in_patch(address: str, location: str, sent: bytes, *, announced: int | None) -> None:
    """Send a part of a PATCH and close: with the length *announced*, or as a chunked body without its end."""
    framing = {"transfer_encoding": "chunked"} if announced is None else {"content_length": str(announced)}
    body = sent if announced is not None else f"{len(sent):x}\r\n".encode() + sent + b"\r\n"
    with connect(address) as sock:
        sock.sendall(head("PATCH", location, content_type=OCTET_STREAM, **framing) + body)


@pytest.mark.parametrize("announced", [4 * MIB, None], ids=["by-length", "chunked"])
def test_a_client_gone_in_mid_upload_resumes_where_the_registry_says(
    announced: int | None, registry: Daemon, repository: str, wire: Wire
) -> None:
    content = random.Random(repository).randbytes(4 * MIB)
    location = wire.start_upload(repository)
    hang_up_in_patch(registry.address, location, content[: 2 * MIB + 5], announced=announced)
    offsets: list[int] = []

    def resumed() -> bool:
        status = wire.request("GET", location)
        assert status.status == 204, (status.status, status.body)
        offsets.append(status.offset)
        if status.offset <= 1:
            return False
        # The request that is gone may still hold the upload for a moment: then this one is refused, not mixed in.
        answer = wire.patch(status.location, content[status.offset :], status.offset)
        return answer.status == 202 and answer.offset == len(content)

    eventually("the upload is resumed", resumed)
    assert offsets[-1] <= 2 * MIB + 5
    assert wire.finish(location, sha256(content)).status == 201
    assert wire.blob(repository, sha256(content)).body == content


def test_a_monolithic_push_cut_short_makes_no_blob(registry: Daemon, repository: str, wire: Wire) -> None:
    content = random.Random(repository).randbytes(MIB)
    target = with_query(wire.start_upload(repository), digest=sha256(content[: MIB // 2]))
    with connect(registry.address) as sock:
        sock.sendall(head("PUT", target, content_length=str(MIB), content_type=OCTET_STREAM) + content[: MIB // 2])
    for _ in range(10):
        # Even though what came is, by chance of this test, just what the digest says.
        assert wire.blob(repository, sha256(content[: MIB // 2])).status == 404
        time.sleep(0.1)


def test_slow_clients_do_not_disturb_others_and_are_served_to_their_end(
    registry: Daemon, repository: str, wire: Wire
) -> None:
    image = build_image(repository)
    wire.push_image(repository, "v1", image)
    body = random.Random(repository).randbytes(40)
    with ExitStack() as stack:
        slow = []
        for _ in range(20):
            sock = stack.enter_context(connect(registry.address, 60))
            target = with_query(wire.start_upload(repository), digest=sha256(body))
            sock.sendall(head("PUT", target, content_length=str(len(body)), content_type=OCTET_STREAM))
            slow.append(sock)
        for byte in body:
            for sock in slow:
                sock.sendall(bytes([byte]))
            assert wire.manifest(repository, "v1").status == 200
            assert wire.blob(repository, image.layers[0].digest).body == image.layers[0].content
        assert [status_of(sock) for sock in slow] == [201] * len(slow)


def test_a_reader_that_stops_reading_does_not_stop_others(registry: Daemon, repository: str, wire: Wire) -> None:
    content = random.Random(repository).randbytes(32 * MIB)
    digest = wire.push_blob(repository, content)
    with ExitStack() as stack:
        stopped = [stack.enter_context(connect(registry.address, 60)) for _ in range(16)]
        for sock in stopped:
            sock.sendall(head("GET", f"/v2/{repository}/blobs/{digest}", connection="close"))
        for _ in range(10):
            assert wire.blob(repository, digest, "HEAD").status == 200
        # One of them goes on after its pause and gets all of it.
        received = b"".join(iter(lambda: stopped[0].recv(MIB), b""))
        assert received.endswith(content[-1000:])
        assert sha256(received.partition(b"\r\n\r\n")[2]) == digest


def test_a_thousand_idle_connections_leave_room_for_others(crowded: Daemon, repository: str) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2000:
        pytest.skip("this user may not have 2,000 open files")
    with ExitStack() as stack:
        for n in range(1000):
            sock = stack.enter_context(connect(crowded.address))
            if n % 2:
                # Half of them have begun a request and think about its end.
                sock.sendall(b"GET /v2/ HTTP/1.1\r\nHost: registry\r\nX-Slow:")
        wire = Wire(crowded.address)
        for n in range(20):
            wire.push_image(repository, f"v{n}", build_image(f"{repository}/{n}", layer_bytes=1000))
        assert len(wire.tags(repository)) == 20


def test_a_wrong_digest_leaves_nothing_behind(crowded: Daemon, repository: str) -> None:
    wire = Wire(crowded.address)
    content, other = b"what was sent", sha256(b"what was promised")
    for _ in range(3):
        answer = wire.finish(wire.start_upload(repository), other, content)
        assert answer.status == 400
        assert answer.codes == ["DIGEST_INVALID"]
        answer = wire.patch(wire.start_upload(repository), content, 0)
        assert wire.finish(answer.location, other).codes == ["DIGEST_INVALID"]
        answer = wire.request("POST", f"/v2/{repository}/blobs/uploads/?digest={other}", content)
        assert answer.codes == ["DIGEST_INVALID"]
    assert wire.blob(repository, other).status == 404
    assert wire.blob(repository, sha256(content)).status == 404
    eventually("no upload is left", lambda: upload_folders(crowded.data, repository) == [])


def test_a_chunk_of_another_length_than_its_range_is_refused_and_adds_nothing(repository: str, wire: Wire) -> None:
    content = random.Random(repository).randbytes(1000)
    location = wire.start_upload(repository)
    for said in ("0-1999", "0-99"):
        answer = wire.request("PATCH", location, content, {"Content-Range": said, "Content-Type": OCTET_STREAM})
        assert answer.status in {400, 416}, (said, answer.status, answer.body)
        assert answer.codes
    answer = wire.patch(location, content, 0)
    assert answer.status == 202, (answer.status, answer.body)
    assert answer.offset == 1000
    assert wire.finish(answer.location, sha256(content)).status == 201


def test_clients_that_push_the_same_blob_at_once_all_succeed(registry: Daemon, repository: str, wire: Wire) -> None:
    for n in range(5):
        content = random.Random(f"{repository}/{n}").randbytes(MIB)
        barrier = threading.Barrier(8)

        def push(content: bytes, barrier: threading.Barrier) -> Answer:
            client = Wire(registry.address)
            barrier.wait(60)
            return client.try_blob(repository, content)

        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(push, content, barrier) for _ in range(8)]
        assert [answer.result().status for answer in answers] == [201] * 8
        assert wire.blob(repository, sha256(content)).body == content


def test_clients_that_push_the_same_tag_at_once_leave_one_of_their_manifests(
    registry: Daemon, repository: str, wire: Wire
) -> None:
    images = [build_image(f"{repository}/{n}", layers=1, layer_bytes=1000) for n in range(8)]
    for image in images:
        wire.push_image(repository, image.manifest.digest, image)
    for n in range(10):
        with ThreadPoolExecutor(len(images)) as pool:
            puts = [pool.submit(Wire(registry.address).put_manifest, repository, "tag", i.manifest) for i in images]
        assert [put.result().status for put in puts] == [201] * len(images), n
        found = {wire.manifest(repository, "tag").body for _ in range(8)}
        assert len(found) == 1, "after the last answer the workers must agree"
        assert found <= {image.manifest.content for image in images}


def test_a_tag_pushed_through_one_worker_is_at_once_read_through_the_other(
    registry: Daemon, repository: str, wire: Wire
) -> None:
    images = [build_image(f"{repository}/{n}", layers=1, layer_bytes=1000) for n in range(2)]
    for image in images:
        wire.push_image(repository, image.manifest.digest, image)
    with ExitStack() as stack:
        # So many connections that both workers have some, whatever the kernel's dice say.
        readers = [stack.enter_context(Wire(registry.address, keep=True)) for _ in range(12)]
        for n in range(40):
            image = images[n % 2]
            assert readers[n % 12].put_manifest(repository, "tag", image.manifest).status == 201
            assert {reader.manifest(repository, "tag").body for reader in readers} == {image.manifest.content}
        assert wire.delete(repository, "manifests", "tag").status == 202
        assert {reader.manifest(repository, "tag").status for reader in readers} == {404}


def descriptors(daemon: Daemon) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in daemon.worker_pids)


def test_aborted_uploads_leak_no_descriptors_and_no_folders(crowded: Daemon, repository: str) -> None:
    wire = Wire(crowded.address)
    for _ in range(4):
        wire.push_blob(repository, b"so that what is loaded once is loaded")
    before = descriptors(crowded)
    body = random.Random(repository).randbytes(200_000)
    for n in range(100):
        location = wire.start_upload(repository)
        hang_up_in_patch(crowded.address, location, body, announced=None if n % 2 else 2 * len(body))
        target = f"/v2/{repository}/blobs/uploads/?digest={sha256(body)}"
        with connect(crowded.address) as sock:
            sock.sendall(head("POST", target, content_length=str(2 * len(body)), content_type=OCTET_STREAM) + body)
        cancelled = wire.patch(wire.start_upload(repository), body).location
        assert wire.request("DELETE", cancelled).status == 204
        assert wire.request("GET", cancelled).status == 404
    eventually("descriptors are closed", lambda: descriptors(crowded) <= before + 4)
    # What was cut in a PATCH can be resumed, so it stays until it is purged; nothing else may.
    eventually("100 uploads are left", lambda: len(upload_folders(crowded.data, repository)) == 100)


def test_a_client_that_resets_its_connection_in_a_download_leaves_nothing_open(
    crowded: Daemon, repository: str
) -> None:
    wire = Wire(crowded.address)
    digest = wire.push_blob(repository, random.Random(repository).randbytes(8 * MIB))
    assert wire.blob(repository, digest).status == 200
    before = descriptors(crowded)
    for _ in range(100):
        with connect(crowded.address) as sock:
            sock.sendall(head("GET", f"/v2/{repository}/blobs/{digest}"))
            assert sock.recv(1000)
            # Close with a reset, as a killed client does.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    eventually("descriptors are closed", lambda: descriptors(crowded) <= before + 4)
