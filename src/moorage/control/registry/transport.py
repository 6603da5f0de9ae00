"""One request to the registry and its answer, both bounded in time and size, whichever API it is of."""

import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from moorage import __version__
from moorage.auth.claims import AccessClaim
from moorage.control.registry.internal_access import MintToken
from moorage.control.registry.registry_errors import (
    RegistryForbids,
    RegistryNonsense,
    RegistryReadOnly,
    RegistryRefused,
    RegistryTagChanged,
    RegistryUnknown,
    RegistryUnreachable,
)
from moorage.json_nesting import parse_json

ANSWER_LIMIT_BYTES = 16 << 20
"""A page of a thousand tags with referrers is far below it."""
CONNECT_S = 5.0
WAIT_S = 15.0
"""For each turn of a connection; the whole request has its own deadline."""
REDIRECT_LIMIT = 3
"""Source: GitLab features RCL-005."""

_MESSAGE_LIMIT = 500
_FORBIDDEN = frozenset({401, 403})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MISSING, _NOT_ALLOWED, _CHANGED = 404, 405, 412
_READ_ONLY = "readonly"
"""The reason that Moorage's registry gives while it is read-only."""


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """An answer, whatever its status."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def is_good(self) -> bool:
        """Return whether the request did what it was for."""
        return self.status in range(200, 300)

    def json(self) -> Any:  # noqa: ANN401 - it is checked where it is used
        """Read the body.

        Raises:
            RegistryNonsense: it is no JSON.
        """
        try:
            return parse_json(self.body)
        except ValueError:
            msg = "the registry's answer is no JSON"
            raise RegistryNonsense(msg) from None

    def marker(self, relation: str, name: str) -> str:
        """Return parameter *name* of the ``Link`` with this *relation*; empty: there is no such link."""
        link = _links(self.headers.get("Link", "")).get(relation, "")
        return parse_qs(urlsplit(link).query).get(name, [""])[0]

    def error(self) -> RegistryRefused:
        """Return the answer as an error."""
        code, message, reason = _first_error(self.body)
        kind = RegistryUnknown if self.status == _MISSING else RegistryRefused
        if self.status in _FORBIDDEN:
            kind = RegistryForbids
        if self.status == _CHANGED:
            kind = RegistryTagChanged
        if self.status == _NOT_ALLOWED and reason == _READ_ONLY:
            kind = RegistryReadOnly
        return kind(self.status, code=code, message=message)


class RegistryTransport:
    """Connections to one registry. Threads share it."""

    def __init__(
        self, url: str, mint: MintToken, *, deadline_s: float = 30.0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Make it for the registry at *url*; nothing is sent yet.

        Args:
            url: such as ``http://localhost:5000/``.
            mint: called for each request.
            deadline_s: for a whole request with its answer.
            tls: what is trusted; None: what is trusted everywhere.
        """
        self._url = url.rstrip("/")
        self._mint = mint
        self._deadline_s = deadline_s
        self._http = httpx.Client(
            transport=_ByHTTPS(tls),
            mounts={"http://": httpx.HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)},
            timeout=httpx.Timeout(min(WAIT_S, deadline_s), connect=min(CONNECT_S, deadline_s)),
            follow_redirects=False,
            trust_env=False,
            # What is compressed could be much larger than what is read.
            headers={"User-Agent": f"moorage-control/{__version__}", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        access: Sequence[AccessClaim],
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> RemoteAnswer:
        """Send a request and read its answer, whatever the status.

        Raises:
            RegistryUnreachable: there is no answer, or not in time.
            RegistryNonsense: it is too large.
        """
        asked = {key: value for key, value in (query or {}).items() if value}
        request = self._http.build_request(
            method, f"{self._url}{path}", params=asked or None, headers=headers, content=content
        )
        token = self._mint(access)
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return self._exchange(request, time.monotonic() + self._deadline_s)

    def ask(self, method: str, path: str, *, access: Sequence[AccessClaim], **more: Any) -> RemoteAnswer:  # noqa: ANN401 - as send
        """Send a request that has to succeed.

        Raises:
            RegistryRefused: it did not.
        """
        answer = self.send(method, path, access=access, **more)
        if not answer.is_good:
            raise answer.error()
        return answer

    def fetch(self, path: str, *, access: Sequence[AccessClaim]) -> RemoteAnswer:
        """Get something that may be kept elsewhere: redirects are followed, and are told no token.

        Raises: as :meth:`ask` does.
        """
        deadline = time.monotonic() + self._deadline_s
        answer = self.send("GET", path, access=access)
        url = httpx.URL(f"{self._url}{path}")
        for _ in range(REDIRECT_LIMIT):
            if answer.status not in _REDIRECTS:
                break
            url = _redirected(url, answer.headers.get("Location", ""))
            answer = self._exchange(self._http.build_request("GET", url), deadline)
        if not answer.is_good:
            raise answer.error()
        return answer

    def local_path(self, location: str) -> str:
        """Return the path and query of a ``Location`` of the registry itself.

        Raises:
            RegistryNonsense: there is none.
        """
        base = urlsplit(self._url).path
        found = urlsplit(location)
        path = found.path.removeprefix(base)
        if not path.startswith("/"):
            msg = "the registry does not say where to go on"
            raise RegistryNonsense(msg)
        return f"{path}?{found.query}" if found.query else path

    def _exchange(self, request: httpx.Request, deadline: float) -> RemoteAnswer:
        try:
            response = self._http.send(request, stream=True)
            try:
                return RemoteAnswer(response.status_code, response.headers, _body(response, deadline))
            finally:
                response.close()
        except httpx.InvalidURL as exc:
            msg = f"the registry's address cannot be used: {exc}"
            raise RegistryNonsense(msg) from None
        except httpx.HTTPError as exc:
            # The text of a time-out is often empty.
            msg = f"the registry at {self._url} does not answer: {exc or type(exc).__name__}"
            raise RegistryUnreachable(msg) from exc


class _ByHTTPS(httpx.BaseTransport):
    """Connections that are encrypted. Most registries are asked in plain HTTP, from beside: none is made for them."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._made: httpx.HTTPTransport | None = None
        self._making = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._making:
            if self._made is None:
                self._made = httpx.HTTPTransport(verify=self._tls or _trusting(), trust_env=False)
        return self._made.handle_request(request)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


@cache
def _trusting() -> ssl.SSLContext:
    """Made once: it takes longer than a request. An authority that this machine trusts is trusted, too."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    try:
        found = url.join(location)
    except httpx.InvalidURL:
        found = httpx.URL()
    if found.scheme not in ("http", "https"):
        msg = "the registry redirects to something that is not HTTP"
        raise RegistryNonsense(msg)
    return found


def _body(response: httpx.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            msg = f"the registry's answer is larger than {ANSWER_LIMIT_BYTES} bytes"
            raise RegistryNonsense(msg)
        if time.monotonic() > deadline:
            msg = "the registry's answer did not end in time"
            raise RegistryUnreachable(msg)
    return bytes(body)


def _links(header: str) -> dict[str, str]:
    """Targets of a ``Link`` by relation. Commas separate links, and may also be in a target.

    Source: RFC 8288 § 3.
    """
    found = {}
    for part in header.split("<")[1:]:
        target, _, parameters = part.partition(">")
        for parameter in parameters.split(";"):
            name, _, value = parameter.strip(" ,").partition("=")
            if name.lower() == "rel":
                found[value.strip('"')] = target
    return found


def _first_error(body: bytes) -> tuple[str, str, str]:
    """The code, the message and the reason of an answer in the specification's form; empty where there is none."""
    try:
        first = parse_json(body)["errors"][0]
        code, message, detail = (first.get(name, "") for name in ("code", "message", "detail"))
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", "", ""
    reason = detail.get("reason", "") if isinstance(detail, dict) else ""
    return str(code)[:_MESSAGE_LIMIT], str(message)[:_MESSAGE_LIMIT], str(reason)[:_MESSAGE_LIMIT]
