"""URLs of a delivery network in front of a bucket: kept while they are good, and not for clients that are near."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol
from urllib.parse import quote

from moorage.cache.remembered import Remembered
from moorage.storage.base import check_path
from moorage.storage.egress import UNTOLD, Egress
from moorage.storage.middleware.near_networks import NearNetworks
from moorage.storage.urls import ObjectUrls

_KEPT = 4096
"""URLs that a worker keeps: about 4 MB."""


class UrlSigner(Protocol):
    """Signs URLs by one key."""

    def __call__(self, url: str, *, expires_at: int, egress: Egress = UNTOLD) -> str:
        """Return *url* with a signature that is good until *expires_at*, in seconds of the epoch; it tells *egress*."""


class SignedUrls:
    """Signs the URLs of objects under a base, each anew, or again until too little of its validity is left.

    Args:
        base: URL of the network, ending in a slash.
        prefix: what the keys of this registry begin with in the bucket; empty, or ending in a slash.
        sign: the network's way to sign.
        validity: how long a URL is good.
        kept_for: how long one is given out again; None: never, as signing costs less than looking.
        now: seconds of the epoch.
    """

    def __init__(
        self,
        base: str,
        sign: UrlSigner,
        *,
        prefix: str,
        validity: timedelta,
        kept_for: timedelta | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._base = base + quote(prefix, safe="/~")
        self._sign = sign
        self._validity_s = validity.total_seconds()
        self._now = now
        self._kept: Remembered[tuple[str, Egress], str] | None = None
        if kept_for is not None and kept_for > timedelta(0):
            self._kept = Remembered(_KEPT, age=kept_for, monotonic=now)

    def url_for(self, path: str, egress: Egress = UNTOLD) -> str:
        """Return a URL for the object at *path*, in which *egress* is told."""
        kept = self._kept
        key = (path, egress)
        found = None if kept is None else kept.get(key)
        if found is not None:
            return found
        url = self._base + quote(check_path(path)[1:], safe="/~:")
        signed = self._sign(url, expires_at=int(self._now() + self._validity_s), egress=egress)
        if kept is not None:
            kept.put(key, signed)
        return signed


class CdnUrls(ObjectUrls):
    """URLs of the network, and the storage's own for clients near it, whom the network would cost more than it gains.

    Args:
        signed: makes the URLs of the network.
        direct: those of the storage; None: it has none, and near clients are served by this process.
        near: the networks of near clients; None: there are none.
    """

    def __init__(self, signed: SignedUrls, *, direct: ObjectUrls | None, near: NearNetworks | None) -> None:
        self.on_sent: Callable[[str], None] = lambda _: None
        """Told of each client: an empty text, or the provider that it is near, for metrics."""
        self._signed = signed
        self._direct = direct
        self._near = near

    async def url_for(self, path: str, *, address: str, egress: Egress = UNTOLD) -> str | None:
        """See the interface."""
        if self._near is not None and self._near.has(address):
            self.on_sent(self._near.name)
            return None if self._direct is None else await self._direct.url_for(path, address=address, egress=egress)
        self.on_sent("")
        return self._signed.url_for(path, egress)


class FixedHostUrls(ObjectUrls):
    """URLs without a signature, at a host that serves the storage's tree as it is (``redirect``)."""

    def __init__(self, base: str) -> None:
        """*base*: URL without a slash at its end; what it has of a path stands before the object's."""
        self._base = base

    async def url_for(self, path: str, *, address: str, egress: Egress = UNTOLD) -> str | None:
        """See the interface."""
        del address, egress  # Nobody has signed what it would say.
        return self._base + quote(check_path(path), safe="/~:")
