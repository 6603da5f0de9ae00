"""Signed URLs of Google Cloud Storage, version 4, for GET. Source: "V4 signing process with your own program"."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from moorage.cache.remembered import Remembered

LONGEST_S = 604_800
"""Seconds of a signed URL by Google's rules, and with a key of the account's own."""
LONGEST_ELSEWHERE_S = 43_200
"""Seconds that a signature by IAM is sure to be good for: its keys change."""
_URLS = 10_000

Sign = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class UnsignedURL:
    """A URL that lacks nothing but the signature of :attr:`text`."""

    url: str
    text: bytes

    def signed(self, signature: bytes) -> str:
        """Return the URL."""
        return f"{self.url}&X-Goog-Signature={signature.hex()}"


def unsigned_url(resource: str, *, email: str, expires_s: int, now: datetime, told: str = "") -> UnsignedURL:
    """Return what is to be signed for a GET of *resource*, a URL with its path in percent-encoding.

    *told*: more of the query, in its order, with names behind ``X-Goog-SignedHeaders`` in it.
    """
    date = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/auto/storage/goog4_request"
    query = "&".join(
        (
            "X-Goog-Algorithm=GOOG4-RSA-SHA256",
            f"X-Goog-Credential={quote(f'{email}/{scope}', safe='')}",
            f"X-Goog-Date={date}",
            f"X-Goog-Expires={expires_s}",
            "X-Goog-SignedHeaders=host",
            *([told] if told else ()),
        )
    )
    parts = urlsplit(resource)
    canonical = f"GET\n{parts.path}\n{query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    return UnsignedURL(f"{resource}?{query}", f"GOOG4-RSA-SHA256\n{date}\n{scope}\n{hashed}".encode())


class _Wanted(NamedTuple):
    resource: str
    email: str
    good_s: int
    told: str


class URLSigner:
    """Signed URLs of one account; each is given out again until half of its validity is over.

    A signature is 0.3 ms of RSA or a request to IAM, and a layer that many pull is asked for again and again.

    Args:
        sign: makes a signature.
        longest_s: the most that a URL is good for.
        now: seconds of the wall clock.
    """

    def __init__(self, sign: Sign, *, longest_s: int, now: Callable[[], float] = time.time) -> None:
        self._sign = sign
        self._longest_s = longest_s
        self._now = now
        self._signed: Remembered[_Wanted, str] = Remembered(_URLS, monotonic=now)
        self._signing: dict[_Wanted, asyncio.Task[str]] = {}

    async def url_for(self, resource: str, *, email: str, expires_s: int, told: str = "") -> str:
        """Return a URL for *resource* that is good for at least half of *expires_s*; *told*: more of its query.

        Raises:
            StorageUnavailable: it could not be signed.
        """
        good_s = max(1, min(expires_s, self._longest_s))
        key = _Wanted(resource, email, good_s, told)
        found = self._signed.get(key)
        if found is not None:
            return found
        signing = self._signing.get(key)
        if signing is None:
            # Requests that come meanwhile wait for the same signature.
            signing = self._signing[key] = asyncio.create_task(self._signed_now(key))
            signing.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(signing)

    def _keep(self, key: _Wanted, done: asyncio.Task[str]) -> None:
        del self._signing[key]
        if not done.cancelled() and done.exception() is None:
            self._signed.put(key, done.result(), age_s=key.good_s / 2)

    async def _signed_now(self, wanted: _Wanted) -> str:
        resource, email, good_s, told = wanted
        now = datetime.fromtimestamp(self._now(), UTC)
        unsigned = unsigned_url(resource, email=email, expires_s=good_s, now=now, told=told)
        return unsigned.signed(await self._sign(unsigned.text))
