"""``middleware``: what stands between clients and storage."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from moorage.config.section import DriverFlag, Flag, Required, Section, Text, UnitDuration, now

_WORD = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SAFE_URL = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)
"""Characters of a URL, without those that would end the text of a policy."""


class Middleware(Section):
    """``middleware.storage[]`` and its like."""

    name: Text = now("", "`cloudfront`, `googlecdn`, `redirect` or `urlcache`.")
    disabled: Flag = now(False, "True: it is left out.")
    options: dict[str, object] = now({}, "Its parameters; see below.", repr=False)


def _is_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good = False
    if not is_good or _SAFE_URL.fullmatch(value) is None or parts.query or parts.fragment or "@" in parts.netloc:
        msg = "a URL is needed, such as https://cdn.example.com, without a query, a fragment or a user"
        raise ValueError(msg)
    return value


def _with_scheme(value: str) -> str:
    # Source: both registries: a network's host may be given without a scheme.
    return value if "://" in value else f"https://{value}"


def _with_slash(value: str) -> str:
    return f"{value.rstrip('/')}/"


def _is_word(value: str) -> str:
    if _WORD.fullmatch(value) is None:
        msg = "letters, digits, - and _ are needed: the name stands in URLs as it is"
        raise ValueError(msg)
    return value


def _filter(value: object) -> object:
    # Source: both registries: case and spaces do not matter, and nothing is none.
    return (value.strip().lower() or "none") if isinstance(value, str) else value


def _regions(value: object) -> object:
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        return found
    return [name.strip().lower() for name in found if name.strip()]


BaseUrl = Annotated[Required, AfterValidator(_with_scheme), AfterValidator(_is_url), AfterValidator(_with_slash)]
PlainUrl = Annotated[Required, AfterValidator(_is_url)]
Word = Annotated[Required, AfterValidator(_is_word)]
Positive = Annotated[UnitDuration, Field(gt=timedelta(0))]


class CloudFrontOptions(Section):
    """Options of ``cloudfront``: Amazon CloudFront in front of the bucket of an `s3` driver."""

    baseurl: BaseUrl = now(..., "URL of the distribution, with or without `https://`.")
    privatekey: Required = now(..., "File of the RSA key, in PEM.")
    keypairid: Word = now(..., "The id of its public key at CloudFront.")
    duration: Positive = now(timedelta(minutes=20), "How long a URL is good.")
    ipfilteredby: Annotated[Literal["none", "aws", "awsregion"], BeforeValidator(_filter)] = now(
        "none", "Clients in networks of AWS (`aws`), or of some regions (`awsregion`), read the bucket directly."
    )
    awsregion: Annotated[list[Text], BeforeValidator(_regions)] = now(
        [], "The regions of `awsregion`: a list, or text with commas."
    )
    iprangesurl: PlainUrl = now("https://ip-ranges.amazonaws.com/ip-ranges.json", "Where the networks are listed.")
    updatefrequency: Positive = now(timedelta(hours=12), "How often the list is read.")

    @model_validator(mode="after")
    def _has_regions(self) -> Self:
        if self.ipfilteredby == "awsregion" and not self.awsregion:
            msg = "awsregion names at least one region where ipfilteredby is awsregion, such as eu-west-1"
            raise ValueError(msg)
        return self


class GoogleCdnOptions(Section):
    """Options of ``googlecdn``: Google's Cloud CDN in front of the bucket of the `gcs` driver."""

    baseurl: BaseUrl = now(..., "URL of the network, with or without `https://`.")
    privatekey: Required = now(..., "File of the signing key, 16 bytes in base64url as Google gives it.")
    keyname: Word = now(..., "The name of the key at Google.")
    duration: Positive = now(timedelta(minutes=20), "How long a URL is good.")
    ipfilteredby: Annotated[Literal["none", "gcp"], BeforeValidator(_filter)] = now(
        "none", "`gcp`: clients in Google's networks read the bucket directly."
    )
    iprangesurl: PlainUrl = now("https://www.gstatic.com/ipranges/goog.json", "Where the networks are listed.")
    updatefrequency: Positive = now(timedelta(hours=12), "How often the list is read.")


class RedirectOptions(Section):
    """Options of ``redirect``: A host that serves the storage's tree as it is; URLs have no signature."""

    baseurl: PlainUrl = now(..., "URL with its scheme; the path of an object is put behind it.")


class UrlCacheOptions(Section):
    """Options of ``urlcache``: How long a URL whose signature is dear is given out again, from memory."""

    min_url_validity: Positive = now(timedelta(minutes=10), "A URL that is good for less is made anew.")
    default_url_validity: Positive = now(timedelta(minutes=20), "Accepted; it has to be longer than the other.")
    dry_run: DriverFlag = now(False, "True: nothing is given out again.")

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.min_url_validity >= self.default_url_validity:
            msg = "min_url_validity is shorter than default_url_validity"
            raise ValueError(msg)
        return self


CdnOptions = CloudFrontOptions | GoogleCdnOptions | RedirectOptions

STORAGE_MIDDLEWARE: dict[str, type[CdnOptions | UrlCacheOptions]] = {
    "cloudfront": CloudFrontOptions,
    "googlecdn": GoogleCdnOptions,
    "redirect": RedirectOptions,
    "urlcache": UrlCacheOptions,
}
"""Names of storage middleware."""


def names_of(model: type[Section]) -> Sequence[str]:
    """Return the keys of a section."""
    return tuple(model.model_fields)
