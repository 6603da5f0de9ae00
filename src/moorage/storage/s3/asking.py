"""Requests to a bucket: how they are addressed, signed and sent, and which headers new objects have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

from moorage.config.sections.storage_s3 import S3Section
from moorage.storage.base import ObjectContent
from moorage.storage.remote.exchange import IDLE_S, SMALL_S, AnswerTooLarge, Exchange, StoreAnswer, StoreCall, Stream
from moorage.storage.s3.answers import failure_of, is_passing
from moorage.storage.s3.credentials import CredentialSource
from moorage.storage.s3.places import BucketPlace
from moorage.storage.s3.signing import Signer, in_path, in_query, now

_SKEW = timedelta(minutes=1)
_REFUSED_SKEW = timedelta(minutes=10)
"""Of clocks that are further apart, a refusal without words may be of that: services allow a quarter of an hour."""
_SLOW_S = 600.0
_ERROR_BYTES = 64 << 10
_NONE: Mapping[str, str] = {}


class Checksum(Protocol):
    """A checksum of what is sent."""

    @property
    def name(self) -> str:
        """The name in headers, in small letters."""

    def of(self, content: ObjectContent) -> str:
        """Return the checksum of *content*, in base 64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHeaders:
    """The headers that new objects get."""

    kept: Mapping[str, str] = field(default_factory=dict)
    """For what stays."""
    passing: Mapping[str, str] = field(default_factory=dict)
    """For what is soon copied or removed: without a storage class, as others bill a month at least."""

    @classmethod
    def of(cls, section: S3Section) -> "ObjectHeaders":
        """Return those that *section* asks for."""
        passing: dict[str, str] = {}
        if section.encrypt:
            passing["x-amz-server-side-encryption"] = "aws:kms" if section.keyid else "AES256"
        if section.keyid:
            passing["x-amz-server-side-encryption-aws-kms-key-id"] = section.keyid
        if section.objectacl != "private" and not section.objectownership:
            passing["x-amz-acl"] = section.objectacl
        kept = dict(passing)
        if section.storageclass not in ("STANDARD", "NONE"):
            kept["x-amz-storage-class"] = section.storageclass
        return cls(kept=kept, passing=passing)


class S3Clock:
    """This machine's clock, set by the service's when that says that it is wrong."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the time for signatures."""
        return now() + self._ahead

    def is_passing(self, call: StoreCall, answer: StoreAnswer) -> bool:
        """See :func:`~moorage.storage.s3.answers.is_passing`; a wrong clock is set once, and then it may do better."""
        failure, ahead = failure_of(call, answer), _ahead(answer)
        if failure is None or ahead is None:
            return is_passing(call, answer)
        is_silent = call.method == "HEAD" and answer.status == HTTPStatus.FORBIDDEN  # It has no body to say why.
        off = abs(ahead - self._ahead)
        if failure.code != "RequestTimeTooSkewed" and not (is_silent and off > _REFUSED_SKEW):
            return is_passing(call, answer)
        self._ahead = ahead
        return off > _SKEW


def _ahead(answer: StoreAnswer) -> timedelta | None:
    """The lead of the service's clock over this machine's; None: it does not say."""
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC) - now()
    except (KeyError, ValueError):
        return None


class S3Signature:
    """Signs each attempt with the credentials of that moment."""

    def __init__(self, place: BucketPlace, source: CredentialSource, clock: S3Clock) -> None:
        self._signer = Signer(place.region, service=place.service)
        self._source = source
        self._clock = clock

    async def headers(self, call: StoreCall) -> Mapping[str, str]:
        """Return all headers of an attempt."""
        return self._signer.headers(
            call.method, call.url, call.headers, credentials=await self._source.current(), moment=self._clock.now()
        )

    async def url(self, url: str, *, expires_s: int, query: Mapping[str, str] | None = None) -> str:
        """Return a URL that anybody may GET, not longer than the credentials are good; with this *query*."""
        credentials, moment = await self._source.current(), self._clock.now()
        if credentials.expires_at is not None:
            expires_s = max(1, min(expires_s, int((credentials.expires_at - moment).total_seconds())))
        return self._signer.url(url, credentials=credentials, moment=moment, expires_s=expires_s, query=query)


class BucketLine:
    """The line to a bucket, on which requests are sent.

    Args:
        place: the bucket's.
        exchange: sends, and has the signature.
        name: of the bucket, for what is said.
        headers: for new objects.
        checksum: of what is sent; None: none.
    """

    def __init__(
        self,
        place: BucketPlace,
        exchange: Exchange,
        *,
        name: str,
        headers: ObjectHeaders,
        checksum: Checksum | None = None,
    ) -> None:
        self.name = name
        self.headers = headers
        self.checksum = checksum
        self.exchange = exchange
        self._url = place.url

    def url(self, key: str) -> str:
        """Return the URL of an object, unsigned."""
        return f"{self._url}/{in_path(key)}"

    async def ask(
        self,
        kind: str,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        body: ObjectContent = b"",
        is_bulk: bool = False,
        is_slow: bool = False,
    ) -> tuple[StoreCall, StoreAnswer]:
        """Send a request and return it with its answer; *is_slow*: the service works before it answers."""
        call = StoreCall(
            kind=kind,
            method=method,
            url=self._with(key, query),
            headers=headers,
            body=body,
            is_bulk=is_bulk,
            total_s=None if is_slow else SMALL_S,
            idle_s=_SLOW_S if is_slow else IDLE_S,
        )
        return call, await self.exchange.send(call)

    async def remove(
        self,
        kind: str,
        method: str,
        key: str = "",
        *,
        until: float,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        body: bytes = b"",
    ) -> tuple[StoreCall, StoreAnswer]:
        """Send a request that removes something; no attempt at it begins later than *until*."""
        call = StoreCall(kind=kind, method=method, url=self._with(key, query), headers=headers, body=body, until=until)
        return call, await self.exchange.send(call)

    async def read(
        self, key: str, headers: Mapping[str, str] = _NONE, *, limit_bytes: int, is_bulk: bool
    ) -> tuple[StoreCall, StoreAnswer]:
        """Ask for an object that is read at once, of no more than *limit_bytes*."""
        call = StoreCall(
            kind="GetObject",
            method="GET",
            url=self.url(key),
            headers=headers,
            is_bulk=is_bulk,
            limit_bytes=max(limit_bytes, _ERROR_BYTES),
        )
        answer = await self.exchange.send(call)
        if len(answer.body) > limit_bytes and failure_of(call, answer) is None:
            msg = f"{key}: more than {limit_bytes} bytes"
            raise AnswerTooLarge(msg)
        return call, answer

    async def open(self, key: str, headers: Mapping[str, str] = _NONE) -> tuple[StoreCall, Stream | StoreAnswer]:
        """Ask for an object that is read as it comes."""
        call = StoreCall(kind="GetObject", method="GET", url=self.url(key), headers=headers, is_bulk=True, total_s=None)
        return call, await self.exchange.stream(call)

    def with_checksum(self, content: ObjectContent) -> Mapping[str, str]:
        """Return the header with the checksum of *content*, if there is to be one."""
        if self.checksum is None:
            return _NONE
        return {f"x-amz-checksum-{self.checksum.name}": self.checksum.of(content)}

    def _with(self, key: str, query: Mapping[str, str]) -> str:
        url = self.url(key)
        return f"{url}?{in_query(query)}" if query else url
