"""A bucket whose objects clients fetch by signed URLs, from a server on loopback that checks them."""

import hmac
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from moorage.storage.base import Capability
from moorage.storage.egress import UNTOLD, Egress
from support.bucket import Bucket
from support.threaded_server import ThreadedServer

_KEY = b"the bucket's own"


class SigningBucket(Bucket):
    """Signs a URL for GET of one object, good for a time: nothing else may be done with it."""

    capabilities = Bucket.capabilities | {Capability.SIGNED_URLS}

    def __init__(self) -> None:
        super().__init__()
        self.host = "http://127.0.0.1:0"
        self.signed: list[str] = []
        """The paths for which URLs were signed."""
        self.told: list[Egress] = []
        """What each URL was to tell."""

    async def url_for(self, path: str, *, expires_s: int, egress: Egress = UNTOLD) -> str | None:
        self.signed.append(path)
        self.told.append(egress)
        ends_at = int(time.time()) + expires_s
        return f"{self.host}{path}?expires={ends_at}&signature={signature(path, ends_at)}"

    def content(self, path: str) -> bytes | None:
        found = self._objects.get(path)
        return None if found is None else found[0]


def signature(path: str, ends_at: int) -> str:
    return hmac.digest(_KEY, f"GET {path} {ends_at}".encode(), "sha256").hex()


class BucketServer(ThreadedServer):
    """Serves the objects of a bucket; ``asked`` has the method, path and status of each request."""

    def __init__(self, bucket: SigningBucket, *, checks: bool = True) -> None:
        """*checks* False: it asks for no signature, as a host of one's own may."""
        self.asked: list[tuple[str, str, int]] = []
        handler = type("Handler", (_Handler,), {"bucket": bucket, "asked": self.asked, "checks": checks})
        super().__init__(handler)
        bucket.host = f"http://{self.address}"


class _Handler(BaseHTTPRequestHandler):
    bucket: SigningBucket
    asked: list[tuple[str, str, int]]
    checks: bool
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        content = self.bucket.content(path)
        if self.checks and not _is_signed(path, parse_qs(parts.query)):
            self._answer(403, b"SignatureDoesNotMatch")
        elif content is None:
            self._answer(404, b"NoSuchKey")
        else:
            wanted = self.headers.get("Range", "")
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            if not wanted:
                self._answer(200, content)
            elif int(first) >= len(content):
                self._answer(416, b"InvalidRange")
            else:
                self._answer(206, content[int(first) : int(last) + 1 if last else None])

    def do_HEAD(self) -> None:
        self._answer(403, b"")  # The URL was signed for another method.

    def _answer(self, status: int, body: bytes) -> None:
        self.asked.append((self.command, urlsplit(self.path).path, status))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the server's
        """Nothing is printed."""


def _is_signed(path: str, query: dict[str, list[str]]) -> bool:
    try:
        ends_at, given = int(query["expires"][0]), query["signature"][0]
    except (KeyError, ValueError):
        return False
    return time.time() < ends_at and hmac.compare_digest(given, signature(path, ends_at))
