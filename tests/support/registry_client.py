"""A small registry client for tests: one method an endpoint, every status and header shown as it came.

It decides nothing for the test: no retries, no redirects followed, no status turned into an exception.
"""

import http.client
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

DEADLINE_S = 60.0
OCTETS = "application/octet-stream"

Body = bytes | Iterable[bytes] | None
"""Bytes go out with their Content-Length, anything else in chunked transfer coding, None with no body at all."""

HeaderPairs = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Headers:
    """The header lines of a response, in order; names are compared without case."""

    pairs: tuple[tuple[str, str], ...]

    def __getitem__(self, name: str) -> str:
        """The only value of *name*; a test that meets none or two of them fails."""
        values = self.all(name)
        assert len(values) == 1, f"{name}: {len(values)} header lines in {self.pairs}"
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def get(self, name: str, default: str = "") -> str:
        """All values of *name*, joined with a comma; *default* without any."""
        values = self.all(name)
        return ", ".join(values) if values else default

    def all(self, name: str) -> list[str]:
        """Each line of *name*."""
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def tokens(self, name: str) -> list[str]:
        """The members of a list header such as ``Allow``, over all its lines."""
        return [word.strip() for value in self.all(name) for word in value.split(",") if word.strip()]


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> dict[str, object]:
        """The body as a JSON object."""
        value = json.loads(self.body)
        assert isinstance(value, dict), value
        return value

    @property
    def location(self) -> str:
        return self.headers["Location"]

    @property
    def next_page(self) -> str | None:
        """The target of ``Link: <…>; rel="next"``, if there is one."""
        for value in self.headers.all("Link"):
            found = re.fullmatch(r'<([^<>]+)>; *rel="next"', value)
            assert found is not None, f"not a Link as RFC 5988 writes it: {value!r}"
            return found.group(1)
        return None


Observer = Callable[[str, str, Response], None]


def with_query(target: str, **parameters: str) -> str:
    """*target* with *parameters* added to the query that it may already have."""
    return f"{target}{'&' if '?' in target else '?'}{urlencode(parameters)}"


def path_of(url: str) -> str:
    """The path and query of a URL, absolute or relative."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class RegistryClient:
    """One connection to a registry at *address* (``host:port``), kept open unless *keep_alive* is off.

    *prefix* is ``http.prefix`` of the registry. *observe* sees every response, for facts that hold for all of them.
    """

    def __init__(
        self,
        address: str,
        *,
        prefix: str = "/",
        headers: HeaderPairs = (),
        keep_alive: bool = True,
        timeout_s: float = DEADLINE_S,
        observe: Observer | None = None,
    ) -> None:
        self.address = address
        self.prefix = prefix
        self.observe = observe
        self._headers = _pairs(headers)
        self._keep_alive = keep_alive
        self._connection = http.client.HTTPConnection(address, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. The next request connects again."""
        self._connection.close()

    def request(
        self, method: str, target: str, *, body: Body = None, headers: HeaderPairs = (), raw_target: bool = False
    ) -> Response:
        """Send one request and read its whole response.

        *target* is a path with query, or an absolute URL of which only those are used, sent as it is written.
        """
        sent = target if raw_target else path_of(target)
        for last_try in (False, True):
            fresh = self._connection.sock is None
            try:
                response = self._exchange(method, sent, body, [*self._headers, *_pairs(headers)])
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                # A kept connection may have been closed in the meantime; a body that was read cannot be sent twice.
                if fresh or last_try or not (body is None or isinstance(body, bytes)):
                    raise
                continue
            break
        if not self._keep_alive:
            self.close()
        if self.observe is not None:
            self.observe(method, sent, response)
        return response

    def _exchange(self, method: str, target: str, body: Body, headers: Sequence[tuple[str, str]]) -> Response:
        names = {name.lower() for name, _ in headers}
        self._connection.putrequest(method, target, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in headers:
            self._connection.putheader(name, value)
        if isinstance(body, bytes) and "content-length" not in names:
            self._connection.putheader("Content-Length", str(len(body)))
        elif body is None and method in {"POST", "PUT", "PATCH"} and "content-length" not in names:
            self._connection.putheader("Content-Length", "0")
        elif body is not None and not isinstance(body, bytes):
            self._connection.putheader("Transfer-Encoding", "chunked")
        try:
            self._connection.endheaders()
            for piece in _pieces(body):
                self._connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            # Refused before all of the body was there; the answer may already be waiting.
            if self._connection.sock is None:
                raise
        with self._connection.getresponse() as response:
            return Response(response.status, Headers(tuple(response.getheaders())), response.read())

    def url(self, repository: str, *parts: str) -> str:
        """The path of something in a repository: ``url("a/b", "tags", "list")``."""
        return "/".join([f"{self.prefix}v2", repository, *parts])

    # The endpoints, in the order of the specification's table.

    def base(self) -> Response:
        """end-1"""
        return self.request("GET", f"{self.prefix}v2/")

    def get_blob(self, repository: str, digest: str, *, headers: HeaderPairs = ()) -> Response:
        """end-2"""
        return self.request("GET", self.url(repository, "blobs", digest), headers=headers)

    def head_blob(self, repository: str, digest: str, *, headers: HeaderPairs = ()) -> Response:
        """end-2"""
        return self.request("HEAD", self.url(repository, "blobs", digest), headers=headers)

    def get_manifest(self, repository: str, reference: str, *, headers: HeaderPairs = ()) -> Response:
        """end-3"""
        return self.request("GET", self.url(repository, "manifests", reference), headers=headers)

    def head_manifest(self, repository: str, reference: str, *, headers: HeaderPairs = ()) -> Response:
        """end-3"""
        return self.request("HEAD", self.url(repository, "manifests", reference), headers=headers)

    def start_upload(
        self, repository: str, query: Mapping[str, str] | None = None, *, headers: HeaderPairs = ()
    ) -> Response:
        """end-4a; with a query also end-4c and end-11."""
        target = self.url(repository, "blobs", "uploads", "")
        return self.request("POST", with_query(target, **query) if query else target, headers=headers)

    def post_blob(self, repository: str, digest: str, body: Body) -> Response:
        """end-4b"""
        target = with_query(self.url(repository, "blobs", "uploads", ""), digest=digest)
        return self.request("POST", target, body=body, headers={"Content-Type": OCTETS})

    def patch_upload(self, location: str, body: Body, *, start: int | None = None) -> Response:
        """end-5, with a Content-Range if *start* is given."""
        headers = {"Content-Type": OCTETS}
        if start is not None:
            assert isinstance(body, bytes)
            headers["Content-Range"] = f"{start}-{start + len(body) - 1}"
        return self.request("PATCH", location, body=body, headers=headers)

    def close_upload(self, location: str, digest: str, body: Body = None, *, start: int | None = None) -> Response:
        """end-6, with the rest of the blob if there is any left."""
        headers = {"Content-Type": OCTETS}
        if start is not None:
            assert isinstance(body, bytes)
            headers["Content-Range"] = f"{start}-{start + len(body) - 1}"
        return self.request("PUT", with_query(location, digest=digest), body=body, headers=headers)

    def put_manifest(
        self,
        repository: str,
        reference: str,
        body: Body,
        media_type: str = "",
        *,
        tags: Iterable[str] = (),
        headers: HeaderPairs = (),
    ) -> Response:
        """end-7a, and end-7b with *tags*."""
        target = self.url(repository, "manifests", reference)
        query = urlencode([("tag", tag) for tag in tags])
        sent = [*([("Content-Type", media_type)] if media_type else []), *_pairs(headers)]
        return self.request("PUT", f"{target}?{query}" if query else target, body=body, headers=sent)

    def list_tags(self, repository: str, **query: str) -> Response:
        """end-8"""
        target = self.url(repository, "tags", "list")
        return self.request("GET", with_query(target, **query) if query else target)

    def delete_manifest(self, repository: str, reference: str) -> Response:
        """end-9"""
        return self.request("DELETE", self.url(repository, "manifests", reference))

    def delete_blob(self, repository: str, digest: str) -> Response:
        """end-10"""
        return self.request("DELETE", self.url(repository, "blobs", digest))

    def mount_blob(self, repository: str, digest: str, source: str | None = None) -> Response:
        """end-11"""
        origin = {} if source is None else {"from": source}
        return self.start_upload(repository, {"mount": digest, **origin})

    def list_referrers(self, repository: str, digest: str, *, artifact_type: str | None = None) -> Response:
        """end-12"""
        target = self.url(repository, "referrers", digest)
        return self.request(
            "GET", target if artifact_type is None else f"{target}?artifactType={quote(artifact_type, safe='')}"
        )

    def upload_status(self, location: str) -> Response:
        """end-13"""
        return self.request("GET", location)

    def cancel_upload(self, location: str) -> Response:
        """end-14"""
        return self.request("DELETE", location)

    def list_repositories(self, **query: str) -> Response:
        """The catalogue: not in the specification, in every registry."""
        target = f"{self.prefix}v2/_catalog"
        return self.request("GET", with_query(target, **query) if query else target)

    # What tests need often.

    def push_blob(self, repository: str, content: bytes, digest: str) -> None:
        """Put a blob into a repository, by POST and PUT."""
        started = self.start_upload(repository)
        assert started.status == 202, started
        closed = self.close_upload(started.location, digest, content)
        assert closed.status == 201, closed

    def pages(self, first: Response) -> Iterator[Response]:
        """*first* and every page that its ``Link`` leads to."""
        page: Response | None = first
        for _ in range(1000):
            assert page is not None
            yield page
            if page.next_page is None:
                return
            page = self.request("GET", page.next_page)
        msg = "a thousand pages and no end"
        raise AssertionError(msg)


def _pairs(headers: HeaderPairs) -> list[tuple[str, str]]:
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers)


def _pieces(body: Body) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
    elif body is not None:
        for piece in body:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"
