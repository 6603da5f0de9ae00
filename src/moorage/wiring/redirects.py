"""Redirects of blobs, as ``storage.redirect`` and ``middleware.storage`` ask for them."""

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import re2

from moorage.config import Config
from moorage.config.sections.middleware import CloudFrontOptions, GoogleCdnOptions, RedirectOptions
from moorage.config.storage_middleware import StorageMiddleware, storage_middleware
from moorage.core.redirects import Redirects
from moorage.errors import ConfigurationError, Mistake
from moorage.oci.names import RepositoryName
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.middleware.cdn_urls import CdnUrls, FixedHostUrls, SignedUrls
from moorage.storage.middleware.near_networks import NearNetworks, Prefixes, amazon_prefixes, google_prefixes
from moorage.storage.middleware.url_signatures import CloudFrontSigner, GoogleCdnSigner, KeyUnusable
from moorage.storage.remote.keys import KeySpace
from moorage.storage.urls import DriverUrls, ObjectUrls

Upkeep = Callable[[], Coroutine[None, None, None]]
_Signer = TypeVar("_Signer")

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


def redirects_of(
    config: Config,
    storage: StorageDriver,
    *,
    on_sent: Callable[[str], None] = lambda _: None,
    now: Callable[[], float] = time.time,
) -> RedirectParts:
    """Make the redirects that *config* asks for, over *storage*; *now*: seconds of the epoch.

    *on_sent*: is told of each client that a network is for, as in :class:`CdnUrls`.

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
    urls, near = _urls(config, storage_middleware(config), direct, now)
    if urls is None:
        return RedirectParts()
    if isinstance(urls, CdnUrls):
        urls.on_sent = on_sent
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
    _urls(config, chosen, None, time.time)
    cache = chosen.cache
    if isinstance(chosen.cdn, CloudFrontOptions) and cache and chosen.cdn.duration <= cache.min_url_validity:
        yield f"{chosen.path}: its duration is not longer than urlcache's min_url_validity, so no URL is kept"


def _urls(
    config: Config, chosen: StorageMiddleware, direct: ObjectUrls | None, now: Callable[[], float]
) -> tuple[ObjectUrls | None, NearNetworks | None]:
    """Return the URLs of the chosen network, else those of the storage, and the networks to be kept up to date."""
    options = chosen.cdn
    if options is None or not _stands_before(chosen, config):
        return direct, None
    if isinstance(options, RedirectOptions):
        return FixedHostUrls(options.baseurl.rstrip("/")), None
    sign = _signer(options, f"{chosen.path}.options.privatekey")
    kept_for = _kept_for(options, chosen) if isinstance(options, CloudFrontOptions) else None
    prefix = KeySpace(getattr(config.storage.driver, "rootdirectory", "")).root
    signed = SignedUrls(options.baseurl, sign, prefix=prefix, validity=options.duration, kept_for=kept_for, now=now)
    near = _near(options)
    return CdnUrls(signed, direct=direct, near=near), near


def _stands_before(chosen: StorageMiddleware, config: Config) -> bool:
    return config.storage.name in _FRONTED.get(chosen.name, (config.storage.name,))


def _signer(options: CloudFrontOptions | GoogleCdnOptions, path: str) -> CloudFrontSigner | GoogleCdnSigner:
    if isinstance(options, CloudFrontOptions):
        return _of_file(options.privatekey, path, lambda content: CloudFrontSigner.from_pem(content, options.keypairid))
    return _of_file(options.privatekey, path, lambda content: GoogleCdnSigner.from_text(content, options.keyname))


def _of_file(name: str, path: str, make: Callable[[bytes], _Signer]) -> _Signer:
    try:
        return make(Path(name).read_bytes())
    except (OSError, ValueError) as exc:
        why = str(exc) if isinstance(exc, KeyUnusable) else f"cannot be read: {getattr(exc, 'strerror', None) or exc}"
        raise ConfigurationError([Mistake(path, f"{name} {why}")]) from None


def _kept_for(options: CloudFrontOptions, chosen: StorageMiddleware) -> timedelta:
    """Return how long a URL is given out again: until half of its validity is over, or as ``urlcache`` says."""
    if chosen.cache is None:
        return options.duration / 2
    return timedelta(0) if chosen.cache.dry_run else options.duration - chosen.cache.min_url_validity


def _near(options: CloudFrontOptions | GoogleCdnOptions) -> NearNetworks | None:
    if options.ipfilteredby == "none":
        return None
    name = "gcp"
    prefixes: Prefixes = google_prefixes
    if isinstance(options, CloudFrontOptions):
        name, prefixes = "aws", amazon_prefixes(options.awsregion if options.ipfilteredby == "awsregion" else ())
    return NearNetworks(options.iprangesurl, prefixes, name=name, interval=options.updatefrequency)


def _exceptions(patterns: Sequence[str]) -> Callable[[RepositoryName], bool]:
    compiled = [re2.compile(pattern) for pattern in patterns]
    return lambda name: any(pattern.search(name.text) for pattern in compiled)
