"""Requests to a container: how they are addressed, signed and sent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from enum import Enum, auto
from urllib.parse import quote, urlsplit

from moorage.config.sections.storage_azure import AzureSection, connection_values
from moorage.errors import StorageUnavailable
from moorage.storage.azure.answers import REFUSED_PROOF, code_of, error_of, is_passing
from moorage.storage.azure.delegation import asked_for, key_in
from moorage.storage.azure.request_log import RequestLog
from moorage.storage.azure.shared_key import AccountKey
from moorage.storage.azure.signed_urls import VERSION, BlobAddress, DelegationKey, read_url_query, time_text
from moorage.storage.azure.tokens import Tokens
from moorage.storage.base import ObjectContent
from moorage.storage.remote.exchange import IDLE_S, SMALL_S, Exchange, StoreAnswer, StoreCall, Stream

_SKEW = timedelta(minutes=1)
_SLOW_S = 600.0
_KEY_LIFE = timedelta(days=2)
_KEY_LEFT = timedelta(hours=1)
_OK = 200
_NONE: Mapping[str, str] = {}

Access = AccountKey | Tokens
"""Proof of who we are: a key of the account, or tokens of an identity."""


class Pace(Enum):
    """The pace of a request."""

    SMALL = auto()
    BULK = auto()
    """It has many bytes."""
    SLOW = auto()
    """The service works before it answers."""


@dataclass(frozen=True, slots=True)
class ContainerPlace:
    """The account's name, its service's URL without a slash at the end, and the container."""

    account: str
    service_url: str
    container: str

    @property
    def url(self) -> str:
        """The container's URL."""
        return f"{self.service_url}/{self.container}"

    @classmethod
    def of(cls, section: AzureSection) -> "ContainerPlace":
        """Return the place that *section* names."""
        values = connection_values(section.connectionstring) if section.connectionstring else _NONE
        account = section.accountname or values.get("AccountName", "")
        realm = values.get("EndpointSuffix") or section.realm
        scheme = values.get("DefaultEndpointsProtocol") or "https"
        derived = values.get("BlobEndpoint", "").rstrip("/") or f"{scheme}://{account}.blob.{realm}"
        url = section.serviceurl or derived
        return cls(account or _account_in(url), url, section.container)


def _account_in(url: str) -> str:
    """The account that a service's URL belongs to: the first part of the path, else of the host."""
    parts = urlsplit(url)
    return parts.path.strip("/").partition("/")[0] or (parts.hostname or "").partition(".")[0]


class AzureSigner:
    """Signs each attempt, by this machine's clock, set by the service's when that says that it is wrong."""

    def __init__(self, access: Access, log: RequestLog | None = None) -> None:
        self.access = access
        self._log = log
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the time for signatures, UTC."""
        return datetime.now(UTC) + self._ahead

    async def headers(self, call: StoreCall) -> Mapping[str, str]:
        """Return all headers of an attempt."""
        if self._log is not None:
            self._log.asked(call)
        headers = {**call.headers, "x-ms-version": VERSION, "x-ms-date": format_datetime(self.now(), usegmt=True)}
        if isinstance(self.access, AccountKey):
            headers["Authorization"] = self.access.authorization(call, headers)
        else:
            headers["Authorization"] = f"Bearer {await self.access.current()}"
        return headers

    def is_passing(self, call: StoreCall, answer: StoreAnswer) -> bool:
        """See :func:`~moorage.storage.azure.answers.is_passing`; a wrong clock is set once, a token renewed once."""
        if self._log is not None:
            self._log.refused(call, answer)
        if code_of(answer) not in REFUSED_PROOF:
            return is_passing(answer)
        if isinstance(self.access, Tokens):
            self.access.forget()
            return answer.attempt == 1
        return self._set_clock(answer)

    def _set_clock(self, answer: StoreAnswer) -> bool:
        try:
            ahead = parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)
        except (KeyError, ValueError):
            return False
        is_news = abs(ahead - self._ahead) > _SKEW
        self._ahead = ahead if is_news else self._ahead
        return is_news


class ContainerLine:
    """The line to a container, on which requests are sent.

    Args:
        place: of the container.
        exchange: sends, with the signer's signatures.
        signer: signs URLs, too.
        try_timeout_s: for one attempt of a small request.
    """

    def __init__(
        self, place: ContainerPlace, exchange: Exchange, signer: AzureSigner, *, try_timeout_s: float = SMALL_S
    ) -> None:
        self.place = place
        self.exchange = exchange
        self.signer = signer
        self._try_timeout_s = try_timeout_s
        self._key: DelegationKey | None = None
        self._key_lock = asyncio.Lock()

    def url(self, key: str) -> str:
        """Return the URL of a blob, unsigned."""
        return f"{self.place.url}/{quote(key, safe='/~')}"

    async def ask(
        self,
        kind: str,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        body: ObjectContent = b"",
        pace: Pace = Pace.SMALL,
        limit_bytes: int = 16 << 20,
    ) -> StoreAnswer:
        """Send a request about the blob at *key* (empty: about the container), and return its answer."""
        return await self.exchange.send(
            StoreCall(
                kind=kind,
                method=method,
                url=self._with(self.url(key) if key else self.place.url, query),
                headers=headers,
                body=body,
                is_bulk=pace is Pace.BULK,
                total_s=None if pace is Pace.SLOW else self._try_timeout_s,
                idle_s=_SLOW_S if pace is Pace.SLOW else IDLE_S,
                limit_bytes=limit_bytes,
            )
        )

    async def delete(self, key: str, *, headers: Mapping[str, str], until: float) -> StoreAnswer:
        """Ask to remove a blob, and return the answer; no attempt begins later than *until*."""
        call = StoreCall(
            kind="DeleteBlob",
            method="DELETE",
            url=self.url(key),
            headers=headers,
            total_s=self._try_timeout_s,
            until=until,
        )
        return await self.exchange.send(call)

    async def open(self, key: str, headers: Mapping[str, str] = _NONE) -> Stream | StoreAnswer:
        """Ask for a blob that is read as it comes."""
        call = StoreCall(kind="GetBlob", method="GET", url=self.url(key), headers=headers, is_bulk=True, total_s=None)
        return await self.exchange.stream(call)

    async def signed_url(self, key: str, *, expires_s: int) -> str:
        """Return a URL that anybody may GET.

        Raises:
            StorageUnavailable: the service gives no key for signing.
        """
        access = self.signer.access
        signing = access if isinstance(access, AccountKey) else await self._delegation_key()
        place = BlobAddress(account=self.place.account, container=self.place.container, key=key)
        is_secure = self.place.service_url.startswith("https:")
        query = read_url_query(place, signing, now=self.signer.now(), expires_s=expires_s, is_secure=is_secure)
        return f"{self.url(key)}?{query}"

    async def close(self) -> None:
        """Close what the signer has open."""
        if isinstance(self.signer.access, Tokens):
            await self.signer.access.close()

    async def _delegation_key(self) -> DelegationKey:
        async with self._key_lock:
            now = self.signer.now()
            if self._key is None or self._key.expires_at - now < _KEY_LEFT:
                self._key = await self._ask_for_key(now)
            return self._key

    async def _ask_for_key(self, now: datetime) -> DelegationKey:
        answer = await self.exchange.send(
            StoreCall(
                kind="GetUserDelegationKey",
                method="POST",
                url=f"{self.place.service_url}/?restype=service&comp=userdelegationkey",
                body=asked_for(time_text(now - timedelta(minutes=5)), time_text(now + _KEY_LIFE)),
                headers={"Content-Type": "application/xml"},
            )
        )
        if answer.status != _OK:
            error = error_of(answer, f"account {self.place.account}", what="GetUserDelegationKey")
            msg = f"{error}; for signed URLs grant the role Storage Blob Delegator on the account"
            raise StorageUnavailable(msg)
        return key_in(answer.body)

    @staticmethod
    def _with(url: str, query: Mapping[str, str]) -> str:
        if not query:
            return url
        return url + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
