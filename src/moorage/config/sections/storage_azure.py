"""``storage.azure`` and ``storage.azure_v2``: one driver, with the parameters of all that have these names."""

import base64
import binascii
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from moorage.config.section import DriverCount, DriverFlag, Duration, Required, Secret, Section, Text, now, unused

SHARED_KEY = "shared_key"
CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a kind of credentials
DEFAULT_CREDENTIALS = "default_credentials"
CredentialsType = Literal["shared_key", "client_secret", "default_credentials"]
EVENTS = ("Request", "Response", "ResponseError", "Retry", "LongRunningOperation")
"""Kinds of lines that ``debug_log_events`` chooses from."""

_MOST_RETRIES = 1000
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}|\$root")
_LONGEST_CONTAINER = 63
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_REALM = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_INLINE = {"type": "credentials_type", "tenantid": "tenant_id", "clientid": "client_id", "secret": "secret"}
"""Keys of Distribution's ``credentials``, and those that mean the same."""


def _container(value: str) -> str:
    if _CONTAINER.fullmatch(value) is None or len(value) > _LONGEST_CONTAINER:
        msg = "3 to 63 small letters, digits and single hyphens are needed, as Azure's containers are named"
        raise ValueError(msg)
    return value


def _account(value: str) -> str:
    if value and _ACCOUNT.fullmatch(value) is None:
        msg = "the account's name alone is needed, as it stands before .blob.core.windows.net"
        raise ValueError(msg)
    return value


def _is_key(value: str) -> bool:
    try:
        return bool(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False


def _realm(value: str) -> str:
    if value and _REALM.fullmatch(value) is None:
        msg = "a domain is needed, such as core.windows.net"
        raise ValueError(msg)
    return value or "core.windows.net"


def service_url(value: str) -> str:
    """Return a service's URL without a slash at its end.

    Raises:
        ValueError: it is none, or has more than a place.
    """
    if not value:
        return value
    try:
        parts = urllib.parse.urlsplit(value)
        is_good = bool(parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0)
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment or "@" in parts.netloc:
        msg = "a URL such as https://account.blob.core.windows.net is needed, without credentials or signature"
        raise ValueError(msg)
    return value.rstrip("/")


def _split(value: object) -> object:
    # GitLab takes one text with commas.
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return value


def _events(value: list[str]) -> list[str]:
    known = {event.lower(): event for event in EVENTS}
    for event in value:
        if event.lower() not in known:
            msg = f"{event!r} is none of {', '.join(EVENTS)}"
            raise ValueError(msg)
    return [known[event.lower()] for event in value]


class AzureSection(Section):
    """``storage.azure`` and ``storage.azure_v2``."""

    accountname: Annotated[Text, AfterValidator(_account)] = now(
        "", "The storage account. Not needed with a `connectionstring`, nor with a `serviceurl` and tokens."
    )
    accountkey: Secret = now("", "Its key, for shared_key.")
    container: Annotated[Required, AfterValidator(_container)] = now(..., "An existing container.")
    connectionstring: Secret = now("", "Account, key and service in one, as the portal shows it; for shared_key.")
    skipverify: DriverFlag = now(False, "True: trust any certificate.")
    credentials_type: CredentialsType = now("shared_key", "Where the proof of who we are comes from.")
    credentials: dict[str, object] = now(
        {}, "Distribution's way to say `credentials_type` and its values: type, tenantid, clientid, secret.", repr=False
    )
    tenant_id: Text = now("", "For client_secret.")
    client_id: Text = now("", "For client_secret.")
    secret: Secret = now("", "For client_secret.")
    realm: Annotated[Text, AfterValidator(_realm)] = now("core.windows.net", "The service's domain.")
    serviceurl: Annotated[Text, AfterValidator(service_url)] = now("", "The whole URL instead.")
    rootdirectory: Text = now("", "Prefix of all objects.")
    trimlegacyrootprefix: DriverFlag | None = now(
        None, "True: objects have no extra slash in front, as if neither were given; false: the opposite."
    )
    legacyrootprefix: DriverFlag | None = now(None, "True: objects have an extra slash in front, as old ones do.")
    max_retries: Annotated[DriverCount, Field(le=_MOST_RETRIES)] = now(3, "Tries after the first.")
    retry_try_timeout: Duration = now(timedelta(0), "Deadline of one try; 0: a minute, and more for many bytes.")
    retry_delay: Duration = now(timedelta(seconds=4), "The most to wait before the second try; doubled each time.")
    max_retry_delay: Duration = now(timedelta(seconds=60), "The longest wait before a try.")
    api_pool_initial_interval: Duration = unused(
        timedelta(milliseconds=100), "Pauses of a wait for a copy: copies are made of blocks, and not waited for."
    )
    api_pool_max_interval: Duration = unused(timedelta(seconds=1), "As above.")
    api_pool_max_elapsed_time: Duration = unused(timedelta(seconds=5), "As above.")
    debug_log: DriverFlag = now(False, "True: requests to the service are logged, without their secrets.")
    debug_log_events: Annotated[list[Text], BeforeValidator(_split), AfterValidator(_events)] = now(
        [], f"Which of {', '.join(EVENTS)}; empty: all."
    )

    @property
    def is_legacy(self) -> bool:
        """True if keys begin with a slash. The newer key counts where only one is given."""
        if self.legacyrootprefix is not None:
            return self.legacyrootprefix
        return self.trimlegacyrootprefix is False

    @property
    def identity(self) -> Mapping[str, str]:
        """The credentials' type and values, whichever way they were written, by the names of GitLab's keys."""
        plain = {name: str(getattr(self, name)) for name in _INLINE.values()}
        inline = {_INLINE[name]: str(value or "") for name, value in self.credentials.items() if name in _INLINE}
        return {name: inline.get(name) or value for name, value in plain.items()}

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together, each with its key."""
        # Source: features DRV-039.
        both = (self.legacyrootprefix, self.trimlegacyrootprefix)
        if None not in both and both[0] == both[1]:
            message = f"it is the opposite of legacyrootprefix, so they cannot both be {str(both[0]).lower()}"
            yield "trimlegacyrootprefix", message
        yield from self._mistakes_of_credentials()
        identity = self.identity
        if identity["credentials_type"] == SHARED_KEY:
            yield from self._mistakes_of_shared_key()
        elif identity["credentials_type"] in {CLIENT_SECRET, DEFAULT_CREDENTIALS}:
            yield from self._mistakes_of_tokens(identity)
        else:
            yield "credentials.type", "shared_key, client_secret or default_credentials is needed"

    def _mistakes_of_credentials(self) -> Iterator[tuple[str, str]]:
        for name, value in self.credentials.items():
            if name not in _INLINE:
                yield "credentials", f"it has a key that is none of {', '.join(_INLINE)}"
                continue
            other = str(getattr(self, _INLINE[name])) if _INLINE[name] in self.model_fields_set else ""
            if other and value and other != value:
                yield f"credentials.{name}", f"it says another thing than {_INLINE[name]}; give one of them"

    def _mistakes_of_shared_key(self) -> Iterator[tuple[str, str]]:
        if self.connectionstring:
            yield from self._mistakes_of_connection()
            return
        if not self.accountname:
            yield "accountname", "is needed"
        if not self.accountkey:
            message = (
                "is needed with shared_key; to go without a key, set credentials_type to client_secret or "
                "default_credentials"
            )
            yield "accountkey", message
        elif not _is_key(self.accountkey):
            yield "accountkey", "the key is needed as the portal shows it, in base64"

    def _mistakes_of_connection(self) -> Iterator[tuple[str, str]]:
        try:
            values = connection_values(self.connectionstring)
        except ValueError as exc:
            yield "connectionstring", str(exc)
            return
        for name, other in (("AccountName", self.accountname), ("AccountKey", self.accountkey)):
            if other and other != values[name]:
                yield "connectionstring", f"it has another {name} than {name.lower()}; give one of them"

    def _mistakes_of_tokens(self, identity: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        for name in ("accountkey", "connectionstring"):
            if getattr(self, name):
                yield name, f"it is not used with {identity['credentials_type']}; take one of them out"
        if identity["credentials_type"] == CLIENT_SECRET:
            for name in ("tenant_id", "client_id", "secret"):
                if not identity[name]:
                    yield name, "is needed with client_secret"
        if not self.accountname and not self.serviceurl:
            yield "accountname", "is needed, unless there is a serviceurl"


def connection_values(text: str) -> Mapping[str, str]:
    """Return the parts of a connection string by their names.

    Raises:
        ValueError: what is needed is not in it; the text itself is not told.
    """
    values = dict(part.strip().partition("=")[::2] for part in text.split(";") if part.strip())
    if "SharedAccessSignature" in values:
        msg = "it has a shared access signature, which cannot sign URLs; one with AccountKey is needed"
        raise ValueError(msg)
    missing = [name for name in ("AccountName", "AccountKey") if not values.get(name)]
    if missing:
        msg = f"it lacks {' and '.join(missing)}"
        raise ValueError(msg)
    if not _is_key(values["AccountKey"]):
        msg = "its AccountKey is not in base64"
        raise ValueError(msg)
    service_url(values.get("BlobEndpoint", ""))
    return values
