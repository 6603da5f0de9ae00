"""Signatures of S3: AWS Signature Version 4, in headers and in URLs.

The body is not signed (``UNSIGNED-PAYLOAD``): TLS protects it on its way, and hashing it costs twice what sending does.

Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html.
"""

import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

UNSIGNED = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """Keys that requests are signed with."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    """None: they last."""


def in_path(text: str) -> str:
    """Encode *text* for the path of a URL; slashes stay."""
    return urllib.parse.quote(text, safe="/~")


def in_query(pairs: Mapping[str, str]) -> str:
    """Encode *pairs* as a query, in the order in which they are signed."""
    quote = urllib.parse.quote
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs.items())
    return "&".join(f"{name}={value}" for name, value in encoded)


class Signer:
    """Signs for one service in one region.

    Args:
        region: where the bucket is.
        service: as signatures name it.
    """

    def __init__(self, region: str, *, service: str = "s3") -> None:
        self.region = region
        self._service = service
        self._cached: tuple[str, str, bytes] = ("", "", b"")

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], *, credentials: S3Credentials, moment: datetime
    ) -> dict[str, str]:
        """Return *headers* with the signature and all it needs; *url* is encoded, its query as :func:`in_query` does.

        Every header that is given is signed.
        """
        host, path, query = _parts(url)
        stamp = moment.strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": host, "x-amz-content-sha256": UNSIGNED, "x-amz-date": stamp}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        for name, value in headers.items():
            signed[name.lower()] = value
        names = sorted(signed)
        lines = [f"{name}:{' '.join(signed[name].split())}" for name in names]
        scope = self._scope(stamp)
        signature = self._signature([method, path, query, *lines, "", ";".join(names), UNSIGNED], stamp, credentials)
        authorization = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return {**headers, **{name: signed[name] for name in names}, "authorization": authorization}

    def url(
        self,
        url: str,
        *,
        credentials: S3Credentials,
        moment: datetime,
        expires_s: int,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """Return *url*, which has no query, as one that anybody may GET for so many seconds; with this *query*."""
        host, path, _ = _parts(url)
        stamp = moment.strftime("%Y%m%dT%H%M%SZ")
        pairs = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{credentials.access_key}/{self._scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(expires_s),
            "X-Amz-SignedHeaders": "host",
            **(query or {}),
        }
        if credentials.token:
            pairs["X-Amz-Security-Token"] = credentials.token
        encoded = in_query(pairs)
        signature = self._signature(["GET", path, encoded, f"host:{host}", "", "host", UNSIGNED], stamp, credentials)
        return f"{url}?{encoded}&X-Amz-Signature={signature}"

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.region}/{self._service}/aws4_request"

    def _signature(self, canonical: Sequence[str], stamp: str, credentials: S3Credentials) -> str:
        hashed = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        text = f"{_ALGORITHM}\n{stamp}\n{self._scope(stamp)}\n{hashed}"
        return hmac.new(self._key(stamp[:8], credentials.secret_key), text.encode(), hashlib.sha256).hexdigest()

    def _key(self, day: str, secret: str) -> bytes:
        cached_day, cached_secret, key = self._cached
        if (cached_day, cached_secret) != (day, secret):
            key = f"AWS4{secret}".encode()
            for part in (day, self.region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._cached = (day, secret, key)
        return key


def now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)


def _parts(url: str) -> tuple[str, str, str]:
    rest = url.partition("://")[2]
    place, _, query = rest.partition("?")
    host, slash, path = place.partition("/")
    return host, f"{slash}{path}" or "/", query
