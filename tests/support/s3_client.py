"""Requests to a bucket that are signed by AWS's own code: for tests that look behind the driver's back."""

import re
import urllib.error
import urllib.parse
import urllib.request
from html import unescape
from typing import Protocol

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class S3Server(Protocol):
    """A server with a bucket."""

    access_key: str
    secret_key: str
    bucket: str

    @property
    def url(self) -> str:
        """Where it listens."""


class S3Client:
    """The bucket of a server."""

    def __init__(self, server: S3Server) -> None:
        self._server = server

    def request(
        self, method: str, key: str = "", *, query: str = "", body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a signed request; return the status and the body, whatever they are."""
        server = self._server
        url = f"{server.url}/{server.bucket}{'/' + urllib.parse.quote(key, safe='/~') if key else ''}"
        signed = AWSRequest(method, f"{url}{'?' + query if query else ''}", data=body, headers=headers or {})
        S3SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", "us-east-1").add_auth(signed)
        request = urllib.request.Request(signed.url, data=body or None, method=method, headers=dict(signed.headers))
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read()

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        status, said = self.request("PUT", key, body=body)
        assert status == 200, said

    def get(self, key: str) -> bytes:
        """Read an object."""
        status, body = self.request("GET", key)
        assert status == 200, body
        return body

    def keys(self, prefix: str = "") -> list[str]:
        """List all keys that begin with *prefix*, in their order."""
        found: list[str] = []
        token = ""
        while True:
            query = f"list-type=2&prefix={urllib.parse.quote(prefix, safe='')}"
            query += f"&continuation-token={urllib.parse.quote(token, safe='')}" if token else ""
            status, body = self.request("GET", query=query)
            assert status == 200, body
            text = body.decode()
            found += [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", text)]
            tokens = re.findall(r"<NextContinuationToken>(.*?)</NextContinuationToken>", text)
            if not tokens:
                return found
            token = unescape(tokens[0])

    def unfinished(self) -> list[str]:
        """List the keys of uploads in parts that are not complete."""
        status, body = self.request("GET", query="uploads=")
        assert status == 200, body
        return [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", body.decode())]
