"""Credentials for a registry, from the environment or from where docker and podman keep them, and what to send.

They are never arguments: those can be read by everybody on the machine.

Source: Docker token authentication specification; RFC 7235 § 4.1.
"""

import base64
import http.client
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

from moorage.auth.addresses import is_loopback
from moorage.client.docker_config import LoginFiles, LoginFileUnusable
from moorage.client.places import host_of, login_name_of
from moorage.client.reading import read_json
from moorage.client.tls import tls_in_words

USERNAME, PASSWORD, TOKEN = "MOORAGE_USERNAME", "MOORAGE_PASSWORD", "MOORAGE_TOKEN"

_DEADLINE_S = 60.0
_ANSWER_LIMIT_BYTES = 1 << 20
_PARAMETER = re.compile(r'([A-Za-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')


_UNSENDABLE = "it has a line break, or another character that no token has"


class NotLoggedIn(Exception):
    """The registry asks for credentials that there are not, or that may not be sent; the text says what to do."""


@dataclass(slots=True)
class Credentials:
    """Credentials of the user who asks; what was got for them is kept for the requests that follow."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    files: LoginFiles | None = field(default=None, repr=False)
    """Files to look in once the registry asks; None: there are none, or it was done."""
    repository: str = field(default="", repr=False)
    """Repository that is asked about: files may hold credentials for a part of a registry."""
    pushes_to: str = field(default="", repr=False)
    """Repository to which tokens are asked to allow pushes when one that allows pulls was not enough: where a first
    push makes a repository, whoever asks to pull only is told that it is not there."""
    _asked: str = field(default="", init=False, repr=False)
    """The scope of the last challenge."""
    is_elsewhere: bool = field(default=False, repr=False)
    """True if the registry is not the one that the environment's credentials are for."""
    context: ssl.SSLContext | None = field(default=None, repr=False)
    """The certificates to trust, for the token server as well; None: the system's."""
    header: str = field(default="", init=False, repr=False)
    """The ``Authorization`` that there is; empty: none."""

    @classmethod
    def of(cls, environ: Mapping[str, str], *, repository: str = "", is_elsewhere: bool = False) -> Self:
        """Those of the environment; without any, those of docker's and podman's files.

        The environment's are for one registry: for another one (*is_elsewhere*) only the files count.
        """
        given = {} if is_elsewhere else environ
        found = cls(given.get(USERNAME, ""), given.get(PASSWORD, ""), given.get(TOKEN, ""))
        found.repository, found.is_elsewhere = repository, is_elsewhere and _has_any(environ)
        if not found.username and not found.token:
            found.files = LoginFiles.of(environ)
        if found.token:
            found.header = f"Bearer {found.token}"
        return found

    def header_for(self, url: str) -> str:
        """The ``Authorization`` to send to the registry at *url*; empty: none.

        Raises:
            NotLoggedIn: it must not be sent there.
        """
        if self.header.startswith("Bearer ") and not self.are_anybodys:
            _see_that_it_stays_secret("token", url)
        if not (self.header.isascii() and self.header.isprintable()):
            # HTTP's libraries would put all of it into their message.
            msg = f"the token {f'in {TOKEN}' if self.token else 'that was got'} cannot be sent: {_UNSENDABLE}"
            raise NotLoggedIn(msg)
        return self.header

    @property
    def are_anybodys(self) -> bool:
        """True if the only credential is a token that was fetched without a user: any client is given one."""
        return self.header.startswith("Bearer ") and not (self.token or self.username or self.identity_token)

    def not_enough(self, url: str) -> str:
        """Say that the registry at *url* refuses to anybody what was asked, and what to do."""
        return f"not logged in to {host_of(url)}, which does not let everybody do this: {self._advice()}"

    def answer(self, url: str, challenges: Sequence[str]) -> bool:
        """Get what the registry at *url* asks for by its *challenges*; False if that was sent already.

        Raises:
            NotLoggedIn: it cannot be got, or must not be sent.
        """
        if self.token:
            return False
        self._look(url)
        for challenge in challenges:
            scheme, _, rest = challenge.partition(" ")
            parameters = {
                name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _PARAMETER.findall(rest)
            }
            if scheme.lower() == "bearer" and "realm" in parameters:
                self.header = f"Bearer {self._fetch(url, parameters)}"
                return True
            if scheme.lower() == "basic":
                return self._use_password(url)
        return False

    def _look(self, url: str) -> None:
        files, self.files = self.files, None
        if files is None:
            return
        try:
            login = files.find(login_name_of(url), self.repository)
        except LoginFileUnusable as exc:
            raise NotLoggedIn(str(exc)) from None
        if login is not None:
            self.username, self.password, self.identity_token = login.username, login.password, login.identity_token

    def _use_password(self, url: str) -> bool:
        header = self._basic(url)
        is_new, self.header = header != self.header, header
        return is_new

    def _basic(self, url: str) -> str:
        if not self.username:
            msg = f"not logged in to {host_of(url)}, which asks for a user and a password: {self._advice()}"
            raise NotLoggedIn(msg)
        _see_that_it_stays_secret("password", url)
        try:
            return f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}"
        except UnicodeEncodeError:
            msg = f"the user or the password for {host_of(url)} is no text in UTF-8"
            raise NotLoggedIn(msg) from None

    def _fetch(self, url: str, parameters: Mapping[str, str]) -> str:
        """A token from where the registry at *url* says, as the user, or as nobody in particular without one."""
        realm = parameters["realm"]
        if not _is_url(realm):
            msg = f"the registry says that tokens are to be had at {realm}, which is no URL"
            raise NotLoggedIn(msg)
        query = [("service", parameters.get("service", ""))]
        scope, before = parameters.get("scope", ""), self._asked
        self._asked = scope
        if scope == before == f"repository:{self.pushes_to}:pull":
            scope = f"{scope},push"
        query += [("scope", each) for each in scope.split()]
        if self.identity_token:
            return self._token_in(url, realm, _exchange(realm, query, self.identity_token))
        if self.username:
            query.append(("account", self.username))
        mark = "&" if urllib.parse.urlsplit(realm).query else "?"
        request = urllib.request.Request(f"{realm}{mark}{urllib.parse.urlencode(query)}")  # noqa: S310 - as above
        if self.username:
            # Not to where a redirect leads.
            request.add_unredirected_header("Authorization", self._basic(realm))
        return self._token_in(url, realm, request, user=self.username)

    def _token_in(self, url: str, realm: str, request: urllib.request.Request, *, user: str = "") -> str:
        """The token that is answered; *user* is whose password went with the request."""
        try:
            with urllib.request.urlopen(request, timeout=_DEADLINE_S, context=self.context) as response:  # noqa: S310 - as above
                value: Any = read_json(response.read(_ANSWER_LIMIT_BYTES))
            return str(value.get("token") or value["access_token"])
        except urllib.error.HTTPError as exc:
            exc.close()
            raise NotLoggedIn(self._no_token(url, realm, exc.code, user)) from None
        except (OSError, http.client.HTTPException) as exc:
            why = getattr(exc, "reason", exc)
            msg = f"cannot ask {realm} for a token: {tls_in_words(why, realm) or why}"
            raise NotLoggedIn(msg) from None
        except (ValueError, LookupError, AttributeError, TypeError):
            msg = f"what {realm} answers holds no token"
            raise NotLoggedIn(msg) from None

    def _no_token(self, url: str, realm: str, code: int, user: str) -> str:
        if user and code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return f"{realm} does not accept {user} with this password (it said {code})"
        if user:
            return f"{realm} gives no token to {user} (it said {code})"
        if self.identity_token:
            return f"{realm} does not take the identity token that is kept (it said {code}); log in again"
        return (
            f"not logged in to {host_of(url)}: {realm} gives no token without a user and a password (it said {code}); "
            f"{self._advice()}"
        )

    def _advice(self) -> str:
        if self.is_elsewhere:
            return (
                "moorage login HOST; what the environment holds goes only to the registry that MOORAGE_REGISTRY or "
                "--registry names"
            )
        return f"moorage login, or set {USERNAME} and {PASSWORD}, or {TOKEN}, in the environment"


def _has_any(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in (USERNAME, PASSWORD, TOKEN))


def _exchange(realm: str, query: Sequence[tuple[str, str]], identity_token: str) -> urllib.request.Request:
    _see_that_it_stays_secret("token", realm)
    scopes = " ".join(value for name, value in query if name == "scope")
    form = {
        "grant_type": "refresh_token",
        "service": dict(query)["service"],
        "client_id": "moorage",
        "scope": scopes,
        "refresh_token": identity_token,
    }
    return urllib.request.Request(realm, data=urllib.parse.urlencode(form).encode())  # noqa: S310 - as above


def _is_url(text: str) -> bool:
    try:
        return urllib.parse.urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return False


def _see_that_it_stays_secret(what: str, url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        msg = f"the {what} is not sent to {url}, as it could be read on the way: use https"
        raise NotLoggedIn(msg)
