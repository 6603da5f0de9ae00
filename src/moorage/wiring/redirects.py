"""Redirects of blobs, as ``storage.redirect`` and ``middleware.storage`` ask for them."""

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from moorage.config import Config
from moorage.config.sections.middleware import CloudFrontOptions
from moorage.config.storage_middleware import StorageMiddleware, storage_middleware
from moorage.core.redirects import Redirects
from moorage.oci.names import RepositoryName
from moorage.oci.safe_patterns import compiled
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.urls import DriverUrls, ObjectUrls

if TYPE_CHECKING:
    from moorage.storage.middleware.near_networks import NearNetworks

Upkeep = Callable[[], Coroutine[None, None, None]]

_VALIDITY = timedelta(minutes=20)
"""Of signed URLs where the configuration says 0, as GitLab's registry reads it."""

_FRONTED = {"cloudfront": ("s3", "s3aws", "s3_v2"), "googlecdn": ("gcs",)}
"""The drivers whose bucket a network stands before. Source: both registries."""


@dataclass(frozen=True, slots=True)
class RedirectParts:
    """The redirects, and what has to be done beside the serving for them."""

    redirects: Redirects | None = None
    """None: there are none."""
    upkeep: Sequence[Upkeep] = ()
    """Work of every process that serves."""


def _nobody(_why: str) -> None:
    return


def redirects_of(
    config: Config,
    storage: StorageDriver,
    *,
    on_sent: Callable[[str], None] = _nobody,
    now: Callable[[], float] = time.time,
) -> RedirectParts:
    """Make the redirects that *config* asks for, over *storage*; *now*: seconds of the epoch.

    *on_sent*: is told of each client that a network is for, see ``delivery_networks.network_urls``.

    Raises:
        ConfigurationError: the key of a network cannot be used.
    """
    redirect = config.storage.redirect
    if redirect.disable:
        return RedirectParts()
    direct: ObjectUrls | None = None
    if Capability.SIGNED_URLS in storage.capabilities:
        validity = redirect.expirydelay or _VALIDITY
        direct = DriverUrls(storage, expires_s=max(1, int(validity.total_seconds())))
    urls, near = _urls(config, storage_middleware(config), direct, now=now, on_sent=on_sent)
    if urls is None:
        return RedirectParts()
    redirects = Redirects(urls, is_exception=_exceptions(redirect.exceptions))
    return RedirectParts(redirects, () if near is None else (near.keep,))


def redirect_concerns(config: Config) -> Iterator[str]:
    """Read the files that redirects need, and yield what somebody should look at.

    Raises:
        ConfigurationError: the key of a network cannot be used.
    """
    chosen = storage_middleware(config)
    if chosen.cdn is None:
        return
    if config.storage.redirect.disable:
        yield f"{chosen.path}: it has no effect, as storage.redirect.disable is true"
        return
    if not _stands_before(chosen, config):
        drivers = ", ".join(_FRONTED[chosen.name])
        yield (
            f"{chosen.path}: {chosen.name} stands before a bucket ({drivers}) and has no effect with "
            f"{config.storage.name}"
        )
        return
    _urls(config, chosen, None)
    cache = chosen.cache
    if isinstance(chosen.cdn, CloudFrontOptions) and cache and chosen.cdn.duration <= cache.min_url_validity:
        yield f"{chosen.path}: its duration is not longer than urlcache's min_url_validity, so no URL is kept"


def _urls(
    config: Config,
    chosen: StorageMiddleware,
    direct: ObjectUrls | None,
    *,
    now: Callable[[], float] = time.time,
    on_sent: Callable[[str], None] = _nobody,
) -> "tuple[ObjectUrls | None, NearNetworks | None]":
    """Return the URLs of the chosen network, else those of the storage, and the networks to be kept up to date."""
    if chosen.cdn is None or not _stands_before(chosen, config):
        return direct, None
    from moorage.wiring.delivery_networks import network_urls  # noqa: PLC0415 - a start without one need not wait for it

    return network_urls(config, chosen, direct, now=now, on_sent=on_sent)


def _stands_before(chosen: StorageMiddleware, config: Config) -> bool:
    return config.storage.name in _FRONTED.get(chosen.name, (config.storage.name,))


def _exceptions(patterns: Sequence[str]) -> Callable[[RepositoryName], bool]:
    found = [compiled(pattern) for pattern in patterns]
    return lambda name: any(pattern.search(name.text) for pattern in found)
