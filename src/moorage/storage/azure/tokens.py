"""Tokens of Microsoft's directory, got by the vendor's library; the only place that loads it."""

import asyncio
import time
from typing import Protocol

from moorage.config.sections.storage_azure import CLIENT_SECRET, AzureSection
from moorage.errors import ConfigurationError, Mistake, StorageUnavailable

_SCOPE = "https://storage.azure.com/.default"
_REFRESH_S = 300.0
_AUTHORITIES = {
    "core.chinacloudapi.cn": "login.chinacloudapi.cn",
    "core.usgovcloudapi.net": "login.microsoftonline.us",
}
"""The directory of each national cloud, by the realm of its storage. Elsewhere the library knows."""


class AzureToken(Protocol):
    """A token, and the second of Unix time at which it ends."""

    @property
    def token(self) -> str:
        """The token, a secret."""

    @property
    def expires_on(self) -> int:
        """The time at which it ends, in seconds since 1970."""


class TokenSource(Protocol):
    """The part of the vendor's credentials that is used."""

    async def get_token(self, *scopes: str) -> AzureToken:
        """Get a token for *scopes*."""

    async def close(self) -> None:
        """Close its connections."""


class Tokens:
    """The token of the registry's identity, kept until shortly before its end.

    Args:
        source: gets them.
        errors: its own, besides those of files and connections.
    """

    def __init__(self, source: TokenSource, *, errors: tuple[type[Exception], ...]) -> None:
        self._source = source
        self._errors: tuple[type[Exception], ...] = (*errors, OSError, ValueError)
        self._lock = asyncio.Lock()
        self._token: AzureToken | None = None

    async def current(self) -> str:
        """Return a token that is good for a while.

        Raises:
            StorageUnavailable: there is none to be had.
        """
        token = self._token
        if token is None or token.expires_on - time.time() < _REFRESH_S:
            token = await self._renewed(token)
        return token.token

    def forget(self) -> None:
        """Take note that the token was refused: the next is a new one."""
        self._token = None

    async def close(self) -> None:
        """Close the connections to the directory."""
        await self._source.close()

    async def _renewed(self, old: AzureToken | None) -> AzureToken:
        async with self._lock:
            if self._token is not None and self._token is not old:
                return self._token
            try:
                self._token = await self._source.get_token(_SCOPE)
            except self._errors as exc:
                if old is not None and old.expires_on > time.time():
                    return old
                msg = f"no token for the storage account could be got: {_first_line(exc)}"
                raise StorageUnavailable(msg) from exc
            return self._token


def tokens_of(section: AzureSection, *, key: str) -> Tokens:
    """Make the source of tokens that *section* names; *key* is its path in the configuration.

    Raises:
        ConfigurationError: the vendor's library is not installed, or refuses the values.
    """
    identity = section.identity
    try:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - as below
        from azure.identity.aio import (  # noqa: PLC0415 - an extra, loaded by those who need it
            ClientSecretCredential,
            DefaultAzureCredential,
        )
    except ImportError:
        message = f"{identity['credentials_type']} needs the package azure-identity; run: pip install 'moorage[azure]'"
        raise ConfigurationError([Mistake(f"{key}.credentials_type", message)]) from None
    authority = _AUTHORITIES.get(section.realm)
    more = {"authority": authority} if authority else {}
    try:
        if identity["credentials_type"] == CLIENT_SECRET:
            names = (identity["tenant_id"], identity["client_id"], identity["secret"])
            return Tokens(ClientSecretCredential(*names, **more), errors=(AzureError,))
        return Tokens(DefaultAzureCredential(exclude_interactive_browser_credential=True, **more), errors=(AzureError,))
    except ValueError as exc:
        raise ConfigurationError([Mistake(key, _first_line(exc))]) from None


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:300]
