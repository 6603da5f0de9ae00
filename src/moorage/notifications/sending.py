"""One try to tell an endpoint of an event, over HTTP: bounded in time and memory; its words hold no secret.

Redirects are followed as Go's client does: after 301, 302 and 303 by GET and without the body, after 307 and 308 as it
was, ten at most. Configured headers go to the host that was configured, and to no other.

Source: GitLab features NOT-001, NOT-002; Go ``net/http`` ``Client.do``.
"""

import asyncio
import contextlib
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import aiohttp
from yarl import URL

from moorage import __version__
from moorage.auth.addresses import is_loopback
from moorage.notifications.endpoints import EndpointSettings
from moorage.notifications.events import EVENTS_MEDIA_TYPE, envelope
from moorage.tracing.spans import call_span, trace_headers

CONNECTIONS = 8
"""To one endpoint at once."""

_REDIRECTS_LIMIT = 10
_SAME_METHOD = (307, 308)
_REDIRECTS = (301, 302, 303, *_SAME_METHOD)
_DRAINED_BYTES = 64 << 10
"""So much of an answer is read so that its connection can be used again; more ends the connection."""
_BUSY = (408, 425, 429)
_FIRST_ACCEPTED, _FIRST_REFUSED, _FIRST_FAULT = 200, 400, 500


@dataclass(frozen=True, slots=True)
class SendResult:
    """The outcome of one try."""

    outcome: Literal["accepted", "refused", "away"]
    """``refused``: the receiver does not want this event. ``away``: there is no receiver now, or it is not well."""
    reason: str = ""
    """In words, for people. Holds nothing of the address or of the headers but the host's name."""
    status: int = 0
    """The last status; 0: no answer came."""


class Sender:
    """Sends events to one endpoint. To be closed."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._url = URL(settings.url)
        self._headers = settings.headers
        if any(name.lower() == "authorization" for name, _ in self._headers):
            self._url = self._url.with_user(None)  # As in Go: the header wins.
        self._timeout_s = settings.timeout.total_seconds()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, payload: str) -> SendResult:
        """Tell of one event, within the endpoint's timeout."""
        status = [0]
        try:
            with call_span("notification", {"http.request.method": "POST", "server.address": self._url.host or ""}):
                async with asyncio.timeout(self._timeout_s):
                    await self._exchange(envelope(payload), status)
        except TimeoutError:
            if not status[0]:
                return SendResult("away", f"no answer within {self._timeout_s:g} s")
        except _Misdirected as exc:
            return SendResult("away", str(exc), exc.status)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            return SendResult("away", _in_words(exc))
        return _judged(status[0])

    async def _exchange(self, body: bytes, status: list[int]) -> None:
        """Ask, and follow redirects; *status* gets the last one's as soon as it is known."""
        method, url, data = "POST", self._url, body
        for _ in range(_REDIRECTS_LIMIT + 1):
            headers = list(self._all_headers(url, has_body=bool(data)))
            async with self._opened().request(
                method, url, data=data or None, headers=headers, allow_redirects=False, proxy=_proxy(url)
            ) as answer:
                location = answer.headers.get("Location", "")
                if answer.status not in _REDIRECTS or not location:
                    status[0] = answer.status
                    await _drain(answer)
                    return
                await _drain(answer)
            url = _next(url, location, answer.status)
            if answer.status not in _SAME_METHOD:
                method, data = "GET", b""
        raise _Misdirected(answer.status, f"it redirects more than {_REDIRECTS_LIMIT} times")

    def _all_headers(self, url: URL, *, has_body: bool) -> Iterable[tuple[str, str]]:
        yield "User-Agent", f"moorage/{__version__}"
        if has_body:
            yield "Content-Type", EVENTS_MEDIA_TYPE
        if url.origin() == self._url.origin():
            yield from self._headers
            yield from trace_headers().items()

    def _opened(self) -> "aiohttp.ClientSession":
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # The deadline is around all of it.
                auto_decompress=False,
            )
        return self._session


class _Misdirected(Exception):
    """Redirects that lead nowhere."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _judged(status: int) -> SendResult:
    if _FIRST_ACCEPTED <= status < _FIRST_REFUSED:
        return SendResult("accepted", status=status)
    reason = f"it answered {status}"
    if status in _BUSY or status >= _FIRST_FAULT:
        return SendResult("away", reason, status)
    return SendResult("refused", reason, status)


def _next(url: URL, location: str, status: int) -> URL:
    try:
        target = url.join(URL(location))
    except ValueError:
        target = URL()
    if target.scheme not in ("http", "https") or not target.host:
        raise _Misdirected(status, f"it answered {status} with a Location that is no web address")
    return target


async def _drain(answer: "aiohttp.ClientResponse") -> None:
    if answer.content_length is None or answer.content_length > _DRAINED_BYTES:
        answer.close()
        return
    with contextlib.suppress(aiohttp.ClientError):
        await answer.content.read()


def _proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for an address, as Go's client takes it; none for this machine."""
    proxies = urllib.request.getproxies_environment()
    host = url.host or ""
    if not proxies or host == "localhost" or is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return proxies.get(url.scheme)


def _in_words(exc: Exception) -> str:
    """Say what went wrong, without the address: it may hold a password."""
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "its host's name is not known"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {exc.certificate_error}"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return f"cannot connect: {exc.os_error.strerror or type(exc.os_error).__name__}"
    if isinstance(exc, (aiohttp.ServerConnectionError, aiohttp.ClientOSError, OSError)):
        return "the connection broke off before an answer came"
    return f"its answer makes no sense ({type(exc).__name__})"
