"""URLs that may be fetched without credentials until they expire (shared access signatures).

They are signed with the account's key, or with a key that the service gives to whoever has a token: then nobody needs
the account's key at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from moorage.storage.azure.shared_key import AccountKey, signature

VERSION = "2021-12-02"
"""The version of the interface that is spoken: old enough for services on the customer's own machines."""
_EARLIER = timedelta(minutes=5)
"""The time before now from which a URL is good, as clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationKey:
    """A key that the service has given us for signing URLs, for a week at most."""

    oid: str
    tid: str
    start: str
    expiry: str
    service: str
    version: str
    value: bytes = field(repr=False)

    @property
    def expires_at(self) -> datetime:
        """The moment at which it and all URLs signed by it end."""
        return datetime.fromisoformat(self.expiry)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobAddress:
    """The place of a blob, as signatures name it."""

    account: str
    container: str
    key: str

    @property
    def resource(self) -> str:
        """As it is signed."""
        return f"/blob/{self.account}/{self.container}/{self.key}"


def read_url_query(
    place: BlobAddress, key: AccountKey | DelegationKey, *, now: datetime, expires_s: int, is_secure: bool
) -> str:
    """Return the query that lets anybody GET the blob for *expires_s* seconds, but no longer than the *key* is good.

    Args:
        place: of the blob.
        key: signs it.
        now: the time, UTC.
        expires_s: the life of the URL.
        is_secure: True: it is only good over HTTPS.
    """
    end = now + timedelta(seconds=expires_s)
    if isinstance(key, DelegationKey):
        end = min(end, key.expires_at)
    start, expiry = time_text(now - _EARLIER), time_text(end)
    protocol = "https" if is_secure else "https,http"
    fields = [("sp", "r"), ("st", start), ("se", expiry), ("spr", protocol), ("sv", VERSION), ("sr", "b")]
    if isinstance(key, DelegationKey):
        fields += _delegation_fields(key)
    text = "\n".join(["r", start, expiry, place.resource, *_middle(key), "", protocol, VERSION, "b", *[""] * 7])
    signed = signature(key.key if isinstance(key, AccountKey) else key.value, text)
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in [*fields, ("sig", signed)])


def time_text(moment: datetime) -> str:
    """Return a moment as signatures have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _middle(key: AccountKey | DelegationKey) -> Sequence[str]:
    if isinstance(key, AccountKey):
        return [""]  # The name of a policy that is stored with the container: none.
    # Behind the key: two users of Azure's file systems, and a number to find the request by. None.
    return [key.oid, key.tid, key.start, key.expiry, key.service, key.version, "", "", ""]


def _delegation_fields(key: DelegationKey) -> list[tuple[str, str]]:
    return [
        ("skoid", key.oid),
        ("sktid", key.tid),
        ("skt", key.start),
        ("ske", key.expiry),
        ("sks", key.service),
        ("skv", key.version),
    ]
