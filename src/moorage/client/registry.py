"""Talking to a running registry over HTTP, for commands that ask it to do something."""

import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from moorage.client.credentials import PASSWORD, USERNAME, Credentials, NotLoggedIn
from moorage.client.places import host_of
from moorage.client.reading import AnswerUnreadable, printable, read_answer, read_json
from moorage.client.tls import tls_in_words, trusting, wants_tls
from moorage.errors import MoorageError

DEFAULT_REGISTRY = "http://localhost:5000"
REGISTRY_VARIABLE = "MOORAGE_REGISTRY"

T = TypeVar("T")

_DEADLINE_S = 120.0
_SAID_LIMIT = 2000
"""So much of a message is shown: what is longer is a page, not a reason."""
_CONFLICTS = frozenset({409, 410, 412})


class CommandFailed(MoorageError):
    """The registry refused, or could not be asked. The text says what, and what to do about it."""

    def __init__(
        self, message: str, *, status: int = 1, detail: Mapping[str, Any] | None = None, code: int = 0
    ) -> None:
        """*status* is the exit status: 3 where something was changed since; *code* is HTTP's, 0 without an answer."""
        super().__init__(message)
        self.status = status
        self.detail = detail or {}
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """The registry's answer, with the id of the request."""

    value: Mapping[str, Any]
    """As it came; :meth:`as_json` hands it on."""
    request_id: str

    def as_json(self, kind: type[T]) -> str:
        """Return it for scripts, as it came, once it has been read as one of the classes of :mod:`moorage.api`.

        Raises:
            CommandFailed: it is none.
        """
        self.read(kind)
        return json.dumps(self.value, indent=2)

    def read(self, kind: type[T]) -> T:
        """Return it as one of the classes of :mod:`moorage.api`.

        Raises:
            CommandFailed: it is none.
        """
        try:
            return read_answer(kind, self.value)
        except AnswerUnreadable as exc:
            msg = f"what the registry answers cannot be read, so it may be of another version than this command: {exc}"
            raise CommandFailed(msg) from None


class Received(NamedTuple):
    """An answer as it came."""

    status: int
    headers: Message
    body: bytes


class Remote:
    """A registry at a URL, such as ``http://127.0.0.1:5000``; below a prefix if it has one."""

    def __init__(
        self,
        url: str,
        *,
        reason: str | None = None,
        ca: str | None = None,
        environ: Mapping[str, str] = os.environ,
        credentials: Credentials | None = None,
    ) -> None:
        """*reason*: why what is asked for is asked for, for the journal. *credentials*: if not those of *environ*.

        *ca* is a file with the certificates to trust, in place of the system's.

        Raises:
            CommandFailed: the URL is none.
            CertificatesUnusable: *ca* cannot be used.
        """
        see_that_it_is_a_url(url)
        self.url = url.rstrip("/")
        self._credentials = credentials or Credentials.of(environ)
        self._context = trusting(ca) if ca else None
        self._credentials.context = self._context
        self._headers = {"Accept": "application/json"}
        if reason:
            self._headers["Moorage-Reason"] = reason.encode().decode("latin-1")

    def get(self, path: str, **query: str | int | None) -> Answer:
        """Ask. What is None in *query* is left out.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        return self._ask(self._request("GET", path, query))

    def post(
        self, path: str, body: Mapping[str, Any], *, request_id: str | None = None, **query: str | int | None
    ) -> Answer:
        """Have something done; *request_id* is the one to do it under, where several requests belong together.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        request = self._request("POST", path, query)
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
        if request_id is not None:
            request.add_header("X-Request-Id", request_id)
        return self._ask(request)

    def fetch(self, path: str, *, method: str = "GET", accept: str = "*/*", only_if: str | None = None) -> Received:
        """Ask below the root of the registry, such as ``/v2/``; any registry has that.

        *only_if*: the digest that a tag has to point to, else 412; registries that know no conditions ask nothing.

        Raises:
            CommandFailed: the registry refused, or could not be asked.
        """
        url = f"{self.url}{path}"
        headers = {**self._headers, "Accept": accept, **({"If-Match": f'"{only_if}"'} if only_if else {})}
        request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - http or https only
        received = self._with_credentials(request)
        if received.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refused(received.status, received.body)
        return received

    def _request(self, method: str, path: str, query: Mapping[str, str | int | None]) -> urllib.request.Request:
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{self.url}/moorage/v1/{path}?{urllib.parse.urlencode(given)}"
        return urllib.request.Request(url, headers=self._headers, method=method)  # noqa: S310 - http or https only

    def _ask(self, request: urllib.request.Request) -> Answer:
        received = self._with_credentials(request)
        if received.status != HTTPStatus.OK:
            raise self._refused(received.status, received.body)
        try:
            value: Any = read_json(received.body)
        except AnswerUnreadable:
            msg = f"what answers at {self.url} is no Moorage registry"
            raise CommandFailed(msg) from None
        return Answer(value, received.headers.get("X-Request-Id", ""))

    def _with_credentials(self, request: urllib.request.Request) -> Received:
        try:
            received = self._send(request)
            challenges = received.headers.get_all("WWW-Authenticate", [])
            if received.status == HTTPStatus.UNAUTHORIZED and self._credentials.answer(self.url, challenges):
                received = self._send(request)
        except NotLoggedIn as exc:
            raise CommandFailed(str(exc)) from None
        if received.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and self._credentials.are_anybodys:
            raise CommandFailed(self._credentials.not_enough(self.url))
        if received.status == HTTPStatus.UNAUTHORIZED and self._credentials.header.startswith("Basic "):
            msg = f"{host_of(self.url)} does not accept {self._credentials.username} with this password"
            raise CommandFailed(msg)
        return received

    def _send(self, request: urllib.request.Request) -> Received:
        header = self._credentials.header_for(self.url)
        if header:
            # Not to where a redirect leads.
            request.add_unredirected_header("Authorization", header)
        try:
            with urllib.request.urlopen(request, timeout=_DEADLINE_S, context=self._context) as response:  # noqa: S310 - http or https only
                return Received(response.status, response.headers, response.read())
        except urllib.error.HTTPError as exc:
            with exc:
                return Received(exc.code, exc.headers, exc.read())
        except (OSError, http.client.HTTPException, ValueError) as exc:  # The last: a redirect to what is no URL.
            why = exc.reason if isinstance(exc, urllib.error.URLError) else exc
            if in_words := tls_in_words(why, self.url):
                raise CommandFailed(in_words) from None
            msg = f"cannot ask the registry at {self.url}: {silence_in_words(why)}; is it running? "
            msg += f"--registry or {REGISTRY_VARIABLE} say where it is"
            raise CommandFailed(msg) from None

    def _refused(self, code: int, body: bytes) -> CommandFailed:
        try:
            answer: Any = read_json(body)
            error = answer["errors"][0]
            message, detail = printable(str(error["message"])[:_SAID_LIMIT]), error.get("detail")
        except (ValueError, LookupError, TypeError):
            host = host_of(self.url)
            if self.url.startswith("http://") and wants_tls(code, body):
                return CommandFailed(f"{host} speaks TLS; ask for https://{host}", code=code)
            return CommandFailed(f"what answers at {self.url} is no Moorage registry (it said {code})", code=code)
        known = detail if isinstance(detail, dict) else {}
        return CommandFailed(message, status=3 if code in _CONFLICTS else 1, detail=known, code=code)


def silence_in_words(why: object) -> str:
    """Return the reason why a registry gave no answer, without the numbers and names that libraries put around it."""
    cause = getattr(why, "os_error", None) or why
    if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.strerror:
        # asyncio puts the address where the reason should be; resolvers have negative numbers of their own.
        return os.strerror(cause.errno) if cause.errno is not None and cause.errno > 0 else cause.strerror
    return str(why) or type(why).__name__


def see_that_it_is_a_url(url: str) -> None:
    """Refuse what cannot be the URL of a registry.

    Raises:
        CommandFailed: it cannot.
    """
    mistake, shown = _mistake_in(url), url
    scheme, mark, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    if "@" in host:
        mistake = mistake or f"it names a user; `moorage login`, {USERNAME} and {PASSWORD} are for that"
        # What stands before it may be a password.
        shown = f"{scheme}{mark}…@{host.rpartition('@')[2]}{slash}{path}"
    if mistake:
        msg = f"{shown} is no URL of a registry: {mistake}; give one such as {DEFAULT_REGISTRY}"
        raise CommandFailed(msg)


def _mistake_in(url: str) -> str:
    """Name what is wrong with a URL; empty: it can be tried."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _port = parts.hostname, parts.port  # To read them is what checks them.
    except ValueError as exc:
        return str(exc)
    if parts.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if not host:
        return "it names no host"
    try:
        host.encode("idna")
    except UnicodeError:
        return f"{host} cannot be the name of a host"
    if not parts.path.isascii() or re.search(r"[\x00-\x20\x7f]", url):
        return "it has characters that have to be written with %"
    return ""
