"""What a container client says to a registry: scripts for :mod:`load`, and the same one at a time for preparing."""

import hashlib
import http.client
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import load
from content import Blob
from load import LoadError, Script, expect, request
from subjects import Daemon

REPOSITORY = "group/app"
TAG = "latest"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT = (
    f"Accept: {MANIFEST_TYPE}, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*"
)


def blob_path(blob: Blob) -> str:
    """Where a blob is pulled."""
    return f"/v2/{REPOSITORY}/blobs/{blob.digest}"


def manifest_path(reference: str) -> str:
    """Where a manifest is pulled, by tag or digest."""
    return f"/v2/{REPOSITORY}/manifests/{reference}"


def push(blobs: Iterable[Blob], *, until: float | None = None) -> Script:
    """Push one blob after the other, each by POST, PATCH and PUT. Counts blobs.

    Args:
        blobs: what to push; connections may share an iterator.
        until: begin none after this time of the monotonic clock; None pushes them all.
    """
    count = 0
    for blob in blobs:
        answer = yield request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", "Content-Length: 0")
        where = local_part(expect(answer, 202).header("Location"))
        headers = (f"Content-Length: {blob.size_bytes}", "Content-Type: application/octet-stream")
        answer = yield request("PATCH", where, *headers, body=blob.pieces())
        where = local_part(expect(answer, 202).header("Location"))
        where += f"{'&' if '?' in where else '?'}digest={blob.digest}"
        expect((yield request("PUT", where, "Content-Length: 0")), 201)
        count += 1
        if until is not None and time.monotonic() > until:
            break
    return count


def pull(
    paths: Sequence[str],
    *headers: str,
    method: str = "GET",
    status: int = 200,
    times: int | None = None,
    until: float | None = None,
) -> Script:
    """Ask for each path in turn, over and over. Counts requests.

    Args:
        paths: what to ask for.
        headers: sent each time.
        method: GET or HEAD.
        status: what has to be answered.
        times: how many requests; None for any number.
        until: send none after this time of the monotonic clock.
    """
    prepared = [request(method, path, *headers) for path in paths]
    count = 0
    while (times is None or count < times) and (until is None or time.monotonic() < until):
        answer = yield prepared[count % len(prepared)]
        if answer.status != status:
            expect(answer, status)
        count += 1
    return count


def timed(asked: Sequence[tuple[str, str]], latencies_s: Mapping[str, list[float]], *, until: float) -> Script:
    """GET each path in turn, over and over, and note how long every answer took. Counts requests.

    Args:
        asked: what each request is noted as, and its path.
        latencies_s: where it is noted.
        until: send none after this time of the monotonic clock.
    """
    prepared = [(label, request("GET", path)) for label, path in asked]
    count = 0
    while time.monotonic() < until:
        label, following = prepared[count % len(prepared)]
        began = time.perf_counter()
        answer = yield following
        latencies_s[label].append(time.perf_counter() - began)
        expect(answer, 200)
        count += 1
    return count


def ask(
    daemon: Daemon, method: str, path: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send one request on a connection of its own; the status and the body of its answer."""
    connection = http.client.HTTPConnection(*daemon.address, timeout=load.STALL_S)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def expect_answer(daemon: Daemon, method: str, path: str, status: int) -> bytes:
    """Send a request without a body, and return the body of its answer.

    Raises:
        LoadError: its status is another.
    """
    found, body = ask(daemon, method, path)
    if found != status:
        msg = f"{method} {path}: {status} was expected, not {found}: {body.decode(errors='replace')}"
        raise LoadError(msg)
    return body


def prepare_blobs(daemon: Daemon, blobs: Sequence[Blob]) -> None:
    """Push *blobs*, and pull each once whole: that proves the content, and its pages are in memory from then on.

    Raises:
        LoadError: what came back is not what was pushed.
    """
    load.run(daemon.address, [push(blobs)])
    for blob in blobs:
        if _pulled_digest(daemon, blob_path(blob)) != blob.digest:
            msg = f"{daemon.subject.name} returned other bytes than were pushed"
            raise LoadError(msg)


def prepare_manifest(daemon: Daemon, payload: bytes, *, tag: str = TAG) -> None:
    """Push a manifest under *tag*.

    Raises:
        LoadError: it was refused.
    """
    status, body = ask(daemon, "PUT", manifest_path(tag), payload, headers={"Content-Type": MANIFEST_TYPE})
    if status != 201:
        msg = f"{daemon.subject.name} refused the manifest: {body.decode(errors='replace')}"
        raise LoadError(msg)


def digest_of(payload: bytes) -> str:
    """The digest of a manifest."""
    return f"sha256:{hashlib.sha256(payload).hexdigest()}"


def image_manifest(config: Blob, layers: Sequence[Blob]) -> bytes:
    """The manifest of an image, laid out as docker does."""
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor("application/vnd.docker.container.image.v1+json", config),
        "layers": [_descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer) for layer in layers],
    }
    return json.dumps(value, indent=3).encode()


def local_part(url: str) -> str:
    """The path and query of *url*."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _descriptor(media_type: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": media_type, "size": blob.size_bytes, "digest": blob.digest}


def _pulled_digest(daemon: Daemon, path: str) -> str:
    connection = http.client.HTTPConnection(*daemon.address, timeout=load.STALL_S)
    try:
        connection.request("GET", path)
        running = hashlib.sha256()
        answer = connection.getresponse()
        while piece := answer.read(1 << 20):
            running.update(piece)
        return f"sha256:{running.hexdigest()}"
    finally:
        connection.close()
