"""A bucket as the configuration names it, with all that requests to it are made of."""

import os
from collections.abc import Mapping

from moorage import __version__
from moorage.config.sections.storage_s3 import S3Section
from moorage.storage.remote.attempts import AttemptLimits
from moorage.storage.remote.bucket_rules import BucketRules
from moorage.storage.remote.exchange import Exchange, ExchangeSettings
from moorage.storage.remote.keys import KeySpace
from moorage.storage.remote.pools import Pools, Trust
from moorage.storage.remote.rate import RequestRate
from moorage.storage.remote.remote_driver import MOST_PART_BYTES
from moorage.storage.remote.tally import NoTally, StoreTally
from moorage.storage.s3.asking import BucketLine, ObjectHeaders, S3Clock, S3Signature
from moorage.storage.s3.checksums import checksum_named
from moorage.storage.s3.copying import BucketCopies, CopyLimits
from moorage.storage.s3.credentials import CredentialSource, FoundCredentials, GivenCredentials
from moorage.storage.s3.multipart import LEAST_PART_BYTES, BucketParts
from moorage.storage.s3.objects import BucketObjects
from moorage.storage.s3.places import place_of
from moorage.storage.s3.rules import bucket_rules
from moorage.storage.s3.signing import S3Credentials, in_path

_CA_VARIABLE = "AWS_CA_BUNDLE"
_KEY_BYTES = 1024


class S3Bucket:
    """A bucket and its requests.

    Args:
        section: of the configuration.
        key: its path there, for what is said.
        share: the part of the rate of requests that this process may use.
        tally: counts requests; None: nobody does.

    Raises:
        ConfigurationError: it cannot be used.
    """

    def __init__(
        self,
        section: S3Section,
        *,
        key: str = "storage.s3",
        share: float = 1.0,
        tally: StoreTally | None = None,
    ) -> None:
        place = place_of(section, key=key)
        outside = place
        if section.redirectendpoint:
            outside = place_of(section, key=f"{key}.redirectendpoint", endpoint=section.redirectendpoint)
        trust = Trust(ca_file=os.environ.get(_CA_VARIABLE, ""), is_anyone=section.skipverify)
        context = trust.context(key=_CA_VARIABLE) if place.url.startswith("https:") else None
        user_agent = section.useragent or f"moorage/{__version__}"
        clock = S3Clock()
        signature = S3Signature(place, _credentials(section, key), clock)
        settings = ExchangeSettings(
            limits=AttemptLimits(retries=section.maxretries),
            rate=RequestRate(section.maxrequestspersecond * share),
            is_passing=clock.is_passing,
            tally=tally or NoTally(),
            is_logged=section.loglevel not in ("", "logoff") and "logoff" not in section.loglevel.split(","),
        )
        line = BucketLine(
            place,
            Exchange(Pools(place.url, context=context, user_agent=user_agent), signature.headers, settings),
            name=section.bucket,
            headers=ObjectHeaders.of(section),
            checksum=checksum_named(section.checksum, key=key),
        )
        self.key = key
        self.name = section.bucket
        self.is_aws = not section.regionendpoint
        self.keys = KeySpace(section.rootdirectory, kind="object of S3", can_be=_can_be)
        self.part_bytes = min(section.chunksize, MOST_PART_BYTES)
        self.chunk_min_bytes = LEAST_PART_BYTES
        self.exchange = line.exchange
        self._line = line
        self.objects = BucketObjects(line)
        self.parts = BucketParts(line, self.objects)
        limits = CopyLimits(
            chunk_bytes=section.multipartcopychunksize,
            threshold_bytes=section.multipartcopythresholdsize,
            at_once=section.multipartcopymaxconcurrency,
        )
        self.copies = BucketCopies(self.objects, self.parts, limits)
        self._outside_url = outside.url
        self._signature = signature

    async def signed_url(self, key: str, *, expires_s: int, query: Mapping[str, str] | None = None) -> str:
        """Return a URL by which anybody may GET the object at *key* for so long, with this *query*."""
        return await self._signature.url(f"{self._outside_url}/{in_path(key)}", expires_s=expires_s, query=query)

    async def rules(self, *, prefix: str) -> BucketRules:
        """Return the rules that the service has for keys that begin with *prefix*, as far as it tells."""
        return await bucket_rules(self._line, prefix=prefix)

    async def close(self) -> None:
        """Close the connections."""
        await self.exchange.close()


def _credentials(section: S3Section, key: str) -> CredentialSource:
    if section.accesskey:
        return GivenCredentials(S3Credentials(section.accesskey, section.secretkey, section.sessiontoken))
    return FoundCredentials(key)


def _can_be(key: str) -> bool:
    try:
        return len(key.encode()) <= _KEY_BYTES
    except UnicodeEncodeError:  # Bytes of a file's name that are no UTF-8.
        return False
