"""Requests as a careful client makes them, and as a careless one does: plain HTTP/1.1 over sockets."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlencode, urlsplit

from e2e.images import OCI_INDEX, OCI_MANIFEST, Blob, Image
from support.answering import TLSConnection

MANIFEST_TYPES = (
    OCI_MANIFEST,
    OCI_INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
OCTETS = {"Content-Type": "application/octet-stream"}

PushStyle = Literal["monolithic", "single", "streamed", "chunked"]
"""POST then PUT; POST alone; POST, one PATCH of unknown length, PUT; POST, PATCH by ranges, PUT."""

PUSH_STYLES: tuple[PushStyle, ...] = ("monolithic", "single", "streamed", "chunked")


@dataclass(frozen=True)
class Answer:
    """A response read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        decoded = json.loads(self.body)
        assert isinstance(decoded, dict), self.body[:200]
        return decoded

    @property
    def codes(self) -> list[str]:
        """The codes of an error body; also checks that the body is what the specification asks for."""
        errors = self.json()["errors"]
        assert isinstance(errors, list)
        assert errors, self.body
        assert all(isinstance(error["code"], str) and isinstance(error["message"], str) for error in errors), errors
        assert self.headers["content-type"].startswith("application/json")
        return [error["code"] for error in errors]

    @property
    def location(self) -> str:
        """Path and query of ``Location``, whether it came absolute or relative."""
        parts = urlsplit(self.headers["location"])
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def offset(self) -> int:
        """How many bytes an upload has, by its ``Range``."""
        _, _, last = self.headers["range"].removeprefix("bytes=").partition("-")
        return int(last) + 1


@dataclass
class Wire:
    """A client of one registry. With *keep* it uses one connection; else each request opens its own."""

    address: str
    timeout_s: float = 60.0
    keep: bool = False
    tls: ssl.SSLContext | None = None
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)
    _opened: list[socket.socket] = field(default_factory=list, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for opened in self._opened:
            # http.client loses sight of a socket whose answer it has not read to its end.
            if opened.fileno() >= 0:
                os.close(opened.detach())
        self._opened.clear()

    def connection(self) -> http.client.HTTPConnection:
        """The connection that the next request goes over, for requests sent by hand."""
        if self._connection is None and self.tls is not None:
            self._connection = TLSConnection(self.address, timeout=self.timeout_s, context=self.tls)
        elif self._connection is None:
            self._connection = http.client.HTTPConnection(self.address, timeout=self.timeout_s)
        return self._connection

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and read its whole answer. An iterator as *body* goes as chunks of unknown number."""
        connection = self.connection()
        try:
            if not _is_open(connection):
                connection.connect()
                self._opened.append(connection.sock)
            # A registry may refuse before the whole body is sent, and close: its answer is there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, dict(headers or {}))
            # Closed by itself too: one that ends its connection is not the connection's to close any more.
            with connection.getresponse() as response:
                content = response.read()
        except BaseException:
            self.close()
            raise
        if not self.keep:
            self.close()
        return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, content)

    def start_upload(self, repository: str) -> str:
        """Open an upload session and return where it goes on."""
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        assert answer.status == 202, (answer.status, answer.body)
        return answer.location

    def patch(self, location: str, chunk: bytes, start: int | None = None) -> Answer:
        ranged = {} if start is None else {"Content-Range": f"{start}-{start + len(chunk) - 1}"}
        return self.request("PATCH", location, chunk, OCTETS | ranged)

    def finish(self, location: str, digest: str, rest: bytes = b"") -> Answer:
        return self.request("PUT", with_query(location, digest=digest), rest, OCTETS)

    def try_blob(
        self, repository: str, content: bytes, style: PushStyle = "monolithic", *, chunk_bytes: int = 1 << 20
    ) -> Answer:
        """Push a blob in one of the ways there are; returns the last answer, be it a refusal."""
        digest = sha256(content)
        if style == "single":
            return self.request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", content, OCTETS)
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        if answer.status != 202:
            return answer
        if style == "monolithic":
            return self.finish(answer.location, digest, content)
        pieces = [content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)]
        if style == "streamed":
            answer = self.request("PATCH", answer.location, iter(pieces), OCTETS)
            return self.finish(answer.location, digest) if answer.status == 202 else answer
        sent = 0
        for piece in pieces:
            answer = self.patch(answer.location, piece, sent)
            if answer.status != 202:
                return answer
            sent += len(piece)
        return self.finish(answer.location, digest)

    def push_blob(self, repository: str, content: bytes, style: PushStyle = "monolithic") -> str:
        answer = self.try_blob(repository, content, style)
        assert answer.status == 201, (style, answer.status, answer.body)
        return sha256(content)

    def put_manifest(self, repository: str, reference: str, manifest: Blob) -> Answer:
        headers = {"Content-Type": manifest.media_type}
        return self.request("PUT", f"/v2/{repository}/manifests/{reference}", manifest.content, headers)

    def push_image(self, repository: str, reference: str, image: Image) -> str:
        """Push what *image* needs, then its manifest; returns its digest."""
        for blob in image.blobs:
            self.push_blob(repository, blob.content)
        answer = self.put_manifest(repository, reference, image.manifest)
        assert answer.status == 201, (answer.status, answer.body)
        return image.manifest.digest

    def manifest(self, repository: str, reference: str, method: str = "GET") -> Answer:
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        return self.request(method, f"/v2/{repository}/manifests/{reference}", headers=headers)

    def blob(self, repository: str, digest: str, method: str = "GET") -> Answer:
        return self.request(method, f"/v2/{repository}/blobs/{digest}")

    def delete(self, repository: str, kind: Literal["manifests", "blobs"], reference: str) -> Answer:
        return self.request("DELETE", f"/v2/{repository}/{kind}/{reference}")

    def tags(self, repository: str) -> list[str]:
        """All tags of a repository, over all pages."""
        return list(self._paged(f"/v2/{repository}/tags/list?n=1000", "tags"))

    def catalogue(self) -> list[str]:
        """All repositories, over all pages."""
        return list(self._paged("/v2/_catalog?n=500", "repositories"))

    def _paged(self, target: str, key: str) -> Iterator[str]:
        following: str | None = target
        while following is not None:
            answer = self.request("GET", following)
            assert answer.status == 200, (target, answer.status, answer.body)
            names = answer.json()[key] or []
            assert isinstance(names, list)
            yield from names
            link = re.match(r'<([^>]+)>;\s*rel="?next', answer.headers.get("link", ""))
            following = link.group(1).removeprefix(f"http://{self.address}") if link else None


def _is_open(connection: http.client.HTTPConnection) -> bool:
    return connection.sock is not None


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def with_query(location: str, **query: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}{urlencode(query)}"


def connect(address: str, timeout_s: float = 60.0) -> socket.socket:
    """A bare connection, for what no library would send."""
    host, _, port = address.partition(":")
    return socket.create_connection((host, int(port)), timeout=timeout_s)


def head(method: str, target: str, **headers: str) -> bytes:
    """The head of a request: ``content_length="5"`` becomes ``content-length: 5``."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "host: registry",
        *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status_of(sock: socket.socket) -> int:
    """The status of the answer that comes on a bare connection."""
    got = b""
    while b"\r\n" not in got:
        piece = sock.recv(4096)
        assert piece, f"the connection ended before an answer: {got!r}"
        got += piece
    return int(got.split(b" ", 2)[1])


def eventually(what: str, holds: Callable[[], bool], *, within_s: float = 60.0, every_s: float = 0.05) -> None:
    """Wait until *holds*; fail with *what* if it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(every_s)
