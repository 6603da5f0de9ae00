"""A registry that is asked many things at once, with bodies that are streamed: for copies between registries.

Commands that ask a registry one thing use ``registry.py``, which imports nothing that a server needs.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from yarl import URL

from moorage.client.credentials import Credentials, NotLoggedIn
from moorage.client.patience import PASSING_STATUSES, RegistryPatience
from moorage.client.places import host_of
from moorage.client.reading import read_json
from moorage.client.registry import CommandFailed, see_that_it_is_a_url, silence_in_words
from moorage.client.tls import tls_in_words, wants_tls
from moorage.storage.remote.pools import proxy_for

ANSWER_LIMIT_BYTES = 4 << 20
"""The most that an answer may have which is kept in memory: a manifest may be as large."""
_ERROR_LIMIT_BYTES = 64 << 10
_BUFFER_BYTES = 256 << 10
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_REDIRECTS = 5
_LOGINS = 3
_LOST = (aiohttp.ClientError, TimeoutError, OSError)


class RegistryAway(CommandFailed):
    """A registry gave no answer, or the connection ended in the middle of one: asking again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedCall:
    """One request."""

    method: str
    url: str
    """Encoded as it is sent."""
    repository: str = ""
    """The repository that it is about: credentials and tokens are kept for each."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = field(default=b"", repr=False)
    """If it is no bytes, it can be sent once only."""


class StreamedAnswer(NamedTuple):
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    """The URL that was asked, for what is relative to it."""


class StreamingRemote:
    """A registry at a URL, as :class:`moorage.client.registry.Remote`; to be entered before it is asked."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Callable[[str], Credentials],
        context: ssl.SSLContext | None = None,
        connections: int = 8,
        patience: RegistryPatience | None = None,
    ) -> None:
        """Take what is needed to ask; nothing is asked yet.

        Args:
            url: http or https.
            credentials: those for a repository.
            context: the certificates to trust; None: the system's.
            connections: so many at once; who would be one too many waits.
            patience: with a registry that does not answer.

        Raises:
            CommandFailed: the URL is none.
        """
        see_that_it_is_a_url(url)
        self.url = url.rstrip("/")
        self.patience = patience or RegistryPatience()
        self._find_credentials = credentials
        self._context = context
        self._slots = asyncio.Semaphore(connections)
        self._logins: dict[str, _Login] = {}
        self._session: aiohttp.ClientSession | None = None
        self._has_answered = False

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._context or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": "moorage", "Accept-Encoding": "identity"},
            skip_auto_headers=("Accept", "Content-Type"),
            read_bufsize=_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def host(self) -> str:
        """The host and the port, for what is said."""
        return host_of(self.url)

    async def ask(self, call: StreamedCall) -> StreamedAnswer:
        """Ask, again where that may help, and return the last answer, of whatever status.

        Raises:
            CommandFailed: there was none, or it is too large, or credentials are missing.
        """
        failures = 0
        while True:
            failures += 1
            try:
                answer = await self.ask_once(call)
            except RegistryAway:
                if not isinstance(call.body, bytes) or not await self.patience.again(failures):
                    raise
                continue
            if answer.status not in PASSING_STATUSES or not isinstance(call.body, bytes):
                return answer
            if not await self.patience.again(failures, self.patience.asked_pause_s(answer.headers)):
                return answer

    async def ask_once(self, call: StreamedCall) -> StreamedAnswer:
        """Ask, and return the answer, of whatever status.

        Raises:
            RegistryAway: there was none.
            CommandFailed: it is too large, or credentials are missing.
        """
        async with self.opened(call) as response:
            parts = [part async for part in self.chunks_of(response, limit_bytes=ANSWER_LIMIT_BYTES)]
            return StreamedAnswer(response.status, response.headers, b"".join(parts), call.url)

    @contextlib.asynccontextmanager
    async def opened(self, call: StreamedCall) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, and give the answer with its body still to come.

        Raises:
            RegistryAway: there was none.
            CommandFailed: credentials are missing.
        """
        async with self._slots:
            response = await self._with_credentials(call)
            try:
                yield response
            finally:
                response.close()

    async def chunks_of(
        self, response: aiohttp.ClientResponse, *, limit_bytes: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the body of an answer as it comes.

        Raises:
            RegistryAway: it was cut, or nothing came any more.
            CommandFailed: it has more than *limit_bytes*.
        """
        size_bytes = 0
        try:
            async for chunk in response.content.iter_any():
                size_bytes += len(chunk)
                if limit_bytes is not None and size_bytes > limit_bytes:
                    msg = f"an answer of {self.host} has more than {limit_bytes:,} bytes"
                    raise CommandFailed(msg)
                yield chunk
        except _LOST as exc:
            raise self._away(exc) from None

    def refused(self, answer: StreamedAnswer) -> CommandFailed:
        """Make an error of an answer."""
        try:
            found: Any = read_json(answer.body)
            error = found["errors"][0]
            said = str(error.get("message") or error["code"])
        except (ValueError, LookupError, TypeError, AttributeError):
            said = ""
        if not said and self.url.startswith("http://") and wants_tls(answer.status, answer.body):
            return CommandFailed(f"{self.host} speaks TLS; ask for https://{self.host}", code=answer.status)
        asked_s = self.patience.asked_pause_s(answer.headers)
        later = f", and to come back in {asked_s:,.0f} s" if asked_s else ""
        text = f"{self.host} said {answer.status}{f': {said[:500]}' if said else ''}{later}"
        return CommandFailed(text, code=answer.status)

    async def _with_credentials(self, call: StreamedCall) -> aiohttp.ClientResponse:
        login = self._logins.get(call.repository)
        if login is None:
            found = self._find_credentials(call.repository)
            login = self._logins[call.repository] = _Login(self.url, found, self._context)
        header = login.header
        for left in range(_LOGINS - 1, -1, -1):
            response = await self._redirected(call, header)
            # Only the registry itself is told who asks, and only it may say where tokens are to be had.
            if response.status != HTTPStatus.UNAUTHORIZED or not left or not self._is_ours(response.url):
                break
            try:
                renewed = await login.renewed(header, response.headers.getall("WWW-Authenticate", []))
            except NotLoggedIn as exc:
                response.close()
                raise CommandFailed(str(exc), code=HTTPStatus.UNAUTHORIZED) from None
            if renewed is None:
                break
            header = renewed
            await _drain(response)
            if not isinstance(call.body, bytes):
                # What was sent cannot be sent again from here.
                msg = f"{self.host} wanted to know again who asks"
                raise RegistryAway(msg)
        refusal = login.refusal(response.status)
        if refusal and self._is_ours(response.url):
            response.close()
            raise CommandFailed(refusal, code=response.status)
        return response

    async def _redirected(self, call: StreamedCall, header: str) -> aiohttp.ClientResponse:
        url = call.url
        for _ in range(_REDIRECTS):
            is_ours = self._is_ours(URL(url, encoded=True))
            headers = {**call.headers, "Authorization": header} if header and is_ours else call.headers
            response = await self._send(call, url, headers)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTED or not location or call.method not in ("GET", "HEAD"):
                return response
            await _drain(response)
            url = joined_url(url, location)
        msg = f"{self.host} leads in a circle: more than {_REDIRECTS} redirects"
        raise CommandFailed(msg)

    def _is_ours(self, url: URL) -> bool:
        return url.origin() == URL(self.url).origin()

    async def _send(self, call: StreamedCall, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if self._session is None:
            msg = "it is to be entered before it is asked"
            raise RuntimeError(msg)
        loop, patience = asyncio.get_running_loop(), self.patience
        wait_s = patience.idle_s if call.method in ("GET", "HEAD") else patience.answer_s
        try:
            async with asyncio.timeout(None) as deadline:
                body: bytes | AsyncIterator[bytes] = call.body
                if isinstance(body, bytes):
                    deadline.reschedule(loop.time() + patience.connect_s + wait_s)
                else:
                    body = _watched(body, deadline, patience.idle_s, wait_s)
                response = await self._session.request(
                    call.method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    proxy=proxy_for(url),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect_s, sock_read=wait_s),
                )
                self._has_answered = True
                return response
        except (*_LOST, ValueError) as exc:  # The last: an address that is none.
            raise self._away(exc, url) from None

    def _away(self, exc: BaseException, url: str = "") -> CommandFailed:
        why = getattr(exc, "certificate_error", None) or getattr(exc, "os_error", None) or exc
        if isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
            why = ConnectionResetError()
        # Who has answered before speaks what it was spoken to in; but a redirect may lead to somebody else.
        is_for_good = not self._has_answered or isinstance(why, ssl.SSLCertVerificationError)
        if is_for_good and (in_words := tls_in_words(why, url or self.url)):
            return CommandFailed(in_words)
        said = "it took too long" if isinstance(exc, TimeoutError) else silence_in_words(exc)
        text = f"cannot ask the registry at {self.url}: {said}"
        # Who never answered is more likely to be somewhere else than to come back.
        return RegistryAway(text) if self._has_answered else CommandFailed(f"{text}; is it running?")


def joined_url(url: str, location: str) -> str:
    """Return where a ``Location`` leads from a URL, its encoding as it came.

    Raises:
        CommandFailed: nowhere.
    """
    try:
        found = URL(url, encoded=True).join(URL(location, encoded=True))
        if found.scheme in ("http", "https") and found.host:
            return str(found)
    except ValueError:
        pass
    msg = f"{host_of(url)} leads to {location[:200]}, which is no URL"
    raise CommandFailed(msg)


class _Login:
    """The credentials for one repository, and what was got for them."""

    def __init__(self, url: str, credentials: Credentials, context: ssl.SSLContext | None) -> None:
        self._url = url
        self._credentials = credentials
        self._credentials.context = context
        self._turn = asyncio.Lock()

    @property
    def header(self) -> str:
        try:
            return self._credentials.header_for(self._url)
        except NotLoggedIn as exc:
            raise CommandFailed(str(exc)) from None

    async def renewed(self, sent: str, challenges: Sequence[str]) -> str | None:
        """Return what to send in place of what was *sent*; None: there is nothing else."""
        async with self._turn:
            if not await asyncio.to_thread(self._credentials.answer, self._url, challenges):
                return self.header if self.header != sent else None
            return self.header

    def refusal(self, status: int) -> str:
        """Say why nobody was let in; empty: they were, or the answer itself says why."""
        found = self._credentials
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and found.are_anybodys:
            return found.not_enough(self._url)
        if status == HTTPStatus.UNAUTHORIZED and found.header.startswith("Basic "):
            return f"{host_of(self._url)} does not accept {found.username} with this password"
        return ""


async def _watched(
    chunks: AsyncIterator[bytes], deadline: asyncio.Timeout, idle_s: float, answer_s: float
) -> AsyncIterator[bytes]:
    """Give on what is sent: each piece has its own deadline, and so has the answer after the last one."""
    loop = asyncio.get_running_loop()
    while True:
        deadline.reschedule(None)  # The maker of the pieces has deadlines of its own.
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            deadline.reschedule(loop.time() + answer_s)
            return
        deadline.reschedule(loop.time() + idle_s)
        yield chunk


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what is there of a small answer, so that its connection can be used again."""
    with contextlib.suppress(*_LOST):
        async with asyncio.timeout(1.0):
            await response.content.read(_ERROR_LIMIT_BYTES)
    response.release()
