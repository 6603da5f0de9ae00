"""URLs of the delivery network that ``middleware.storage`` names. Imported where one is configured."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from moorage.config import Config
from moorage.config.sections.middleware import CloudFrontOptions, GoogleCdnOptions, RedirectOptions
from moorage.config.storage_middleware import StorageMiddleware
from moorage.errors import ConfigurationError, Mistake
from moorage.storage.middleware.cdn_urls import CdnUrls, FixedHostUrls, SignedUrls
from moorage.storage.middleware.near_networks import NearNetworks, Prefixes, amazon_prefixes, google_prefixes
from moorage.storage.middleware.url_signatures import CloudFrontSigner, GoogleCdnSigner, KeyUnusable
from moorage.storage.remote.keys import KeySpace
from moorage.storage.urls import ObjectUrls

_Signer = TypeVar("_Signer")


def network_urls(
    config: Config,
    chosen: StorageMiddleware,
    direct: ObjectUrls | None,
    *,
    now: Callable[[], float],
    on_sent: Callable[[str], None],
) -> tuple[ObjectUrls | None, NearNetworks | None]:
    """Return the URLs of the chosen network, and the networks to be kept up to date for them; without one, *direct*.

    *on_sent*: is told of each client that the network is for, as in :class:`CdnUrls`.

    Raises:
        ConfigurationError: the network's key cannot be used.
    """
    options = chosen.cdn
    if options is None:
        return direct, None
    if isinstance(options, RedirectOptions):
        return FixedHostUrls(options.baseurl.rstrip("/")), None
    sign = _signer(options, f"{chosen.path}.options.privatekey")
    kept_for = _kept_for(options, chosen) if isinstance(options, CloudFrontOptions) else None
    prefix = KeySpace(getattr(config.storage.driver, "rootdirectory", "")).root
    signed = SignedUrls(options.baseurl, sign, prefix=prefix, validity=options.duration, kept_for=kept_for, now=now)
    near = _near(options)
    urls = CdnUrls(signed, direct=direct, near=near)
    urls.on_sent = on_sent
    return urls, near


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
