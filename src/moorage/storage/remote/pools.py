"""Connections to a store: some for small requests and others for bulk, so that pushes never keep manifests waiting.

Redirects are not followed anywhere: what a vendor answers by one is for the driver to understand.
"""

import asyncio
import ssl
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from moorage.errors import ConfigurationError, Mistake, StorageUnavailable
from moorage.permissions import reason_of

SMALL_CONNECTIONS = 64
BULK_CONNECTIONS = 32
CONNECT_S = 5.0
_KEEPALIVE_S = 15.0  # Less than what servers keep: mostly it is we who close.
_DNS_S = 10
_BUFFER_BYTES = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Certificates that a store may show: those of the system, those of a file, or any."""

    ca_file: str = ""
    """PEM; empty: the system's."""
    is_anyone: bool = False

    def context(self, *, key: str) -> ssl.SSLContext:
        """Make the context for connections; *key* is the configuration's, for what is said.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        if not self.ca_file:
            context = ssl.create_default_context()
        else:
            try:
                context = ssl.create_default_context(cadata=Path(self.ca_file).read_text(encoding="ascii"))
            except (ssl.SSLError, ValueError):
                message = f"{self.ca_file} cannot be used: it holds no certificate in PEM"
                raise ConfigurationError([Mistake(key, message)]) from None
            except OSError as exc:
                message = f"{self.ca_file} cannot be used: {reason_of(exc, self.ca_file, 'read')}"
                raise ConfigurationError([Mistake(key, message)]) from None
        if self.is_anyone:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Pools:
    """Two pools of connections; opened by the first request, in its event loop.

    A proxy that the environment names (``HTTPS_PROXY``, ``NO_PROXY``) is used, as other clients of the vendor do.

    Args:
        url: the store's, for which a proxy is looked up.
        context: for HTTPS.
        user_agent: sent with every request.
    """

    def __init__(self, url: str, *, context: ssl.SSLContext | None = None, user_agent: str) -> None:
        self._proxy = proxy_for(url)
        self._context = context
        self._user_agent = user_agent
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._is_closed = False
        self.on_connected: Callable[[], None] = _nothing
        """Called for each new connection, before anything is sent on it."""

    def session(self, *, is_bulk: bool) -> aiohttp.ClientSession:
        """Return the session for requests of that kind.

        Raises:
            StorageUnavailable: the pools are closed.
        """
        if self._is_closed:
            msg = "storage is not used any more"
            raise StorageUnavailable(msg)
        session = self._sessions.get(is_bulk)
        if session is None:
            session = self._sessions[is_bulk] = self._open(BULK_CONNECTIONS if is_bulk else SMALL_CONNECTIONS)
        return session

    async def close(self) -> None:
        """Close all connections."""
        self._is_closed = True
        sessions, self._sessions = list(self._sessions.values()), {}
        await asyncio.gather(*(session.close() for session in sessions))

    def _open(self, connections: int) -> aiohttp.ClientSession:
        connector = _Connector(
            self,
            limit=connections,
            keepalive_timeout=_KEEPALIVE_S,
            ttl_dns_cache=_DNS_S,
            ssl=self._context if self._context is not None else True,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": self._user_agent},
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=_BUFFER_BYTES,
            proxy=self._proxy,
        )
        # A request whose answer was lost is sent again here, where it is known that it was sent before, and not there.
        session._retry_connection = False  # noqa: SLF001 - there is no other way to switch it off
        return session


class _Connector(aiohttp.TCPConnector):
    """Tells of new connections. A trace would be asked for each piece of each body, too."""

    def __init__(self, pools: Pools, **settings: Any) -> None:  # noqa: ANN401 - as aiohttp's
        super().__init__(**settings)
        self._pools = pools

    async def _create_connection(self, *args: Any, **settings: Any) -> ResponseHandler:  # noqa: ANN401 - as aiohttp's
        made = await super()._create_connection(*args, **settings)
        self._pools.on_connected()
        return made


def _nothing() -> None:
    pass


def proxy_for(url: str) -> URL | None:
    """Return the proxy that the environment names for a URL; None: it names none."""
    parts = urllib.parse.urlsplit(url)
    found = urllib.request.getproxies().get(parts.scheme)
    if not found or urllib.request.proxy_bypass(parts.netloc):
        return None
    return URL(found)
