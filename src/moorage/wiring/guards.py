"""Guards that check credentials, as the configuration has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.auth.addresses import is_loopback
from moorage.auth.guards import Guard, OpenGuard, SillyGuard
from moorage.config import Config, HtpasswdAuth, NoAuth, SillyAuth, TokenAuth
from moorage.errors import ConfigurationError, Mistake
from moorage.pem import said_of_text
from moorage.permissions import reason_of

if TYPE_CHECKING:
    from moorage.auth.issuer import IssuerKeys
    from moorage.auth.passwords import PasswordFile
    from moorage.auth.watched import Watched

_REDIRECT_PATH = "/auth/token"
"""Source: GitLab features TOK-011."""


def guard(config: Config) -> Guard:
    """Make the guard that checks credentials, with its files read.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    match config.auth:
        case SillyAuth(realm=realm, service=service):
            return SillyGuard(realm, service)
        case TokenAuth() as auth:
            return _token_guard(auth, token_path(config) if auth.autoredirect else "")
        case HtpasswdAuth() as auth:
            return _password_guard(auth)
        case NoAuth() | None:
            return OpenGuard()


def token_path(config: Config) -> str:
    """Return the path where a registry that is its own token server gives tokens."""
    auth = config.auth
    path = auth.autoredirectpath if isinstance(auth, TokenAuth) and auth.autoredirect else ""
    return path or _REDIRECT_PATH


def concerns(config: Config) -> Iterator[str]:
    """Yield what an operator should look at before strangers do.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    is_private = config.http.net == "unix" or is_loopback(config.http.addr.rpartition(":")[0].strip("[]"))
    match config.auth:
        case TokenAuth() as auth:
            yield from _keys(auth).concerns()
        case HtpasswdAuth() as auth:
            if unusable := _users(auth).get().unusable:
                yield f"{unusable} users of {auth.path} have no bcrypt hash and cannot log in; htpasswd -B makes one"
            if not is_private and not config.http.tls.is_on:
                yield "auth.htpasswd without TLS: passwords can be read on the way, unless a proxy in front speaks TLS"
        case SillyAuth():
            yield "auth.silly lets in whoever sends an Authorization header, whatever it says: for trying out only"
        case NoAuth() | None if not is_private:
            yield (
                "NO AUTHENTICATION is configured and the address is not loopback: "
                "anybody who reaches it can pull, push and delete"
            )


def _password_guard(auth: HtpasswdAuth) -> Guard:
    from moorage.auth.basic import PasswordGuard  # noqa: PLC0415 - a start without passwords need not wait for it

    return PasswordGuard(auth.realm, _users(auth).get)


def _token_guard(auth: TokenAuth, path: str) -> Guard:
    from moorage.auth.bearer import Realm, TokenGuard  # noqa: PLC0415 - a start without tokens need not wait for it
    from moorage.auth.tokens import ALGORITHMS, Verifier  # noqa: PLC0415 - as above

    verifier = Verifier(issuer=auth.issuer, service=auth.service, algorithms=auth.signingalgorithms or ALGORITHMS)
    return TokenGuard(verifier, _keys(auth), Realm(url=auth.realm, path=path))


def _keys(auth: TokenAuth) -> "IssuerKeys":
    from moorage.auth.issuer import IssuerKeys, watch_bundle, watch_jwks  # noqa: PLC0415 - as above

    with _reading("auth.token.rootcertbundle", auth.rootcertbundle):
        bundle = watch_bundle(Path(auth.rootcertbundle)) if auth.rootcertbundle else None
    with _reading("auth.token.jwks", auth.jwks):
        jwks = watch_jwks(Path(auth.jwks)) if auth.jwks else None
    return IssuerKeys(bundle, jwks)


def _users(auth: HtpasswdAuth) -> "Watched[PasswordFile]":
    from moorage.auth.passwords import FILE_LIMIT_BYTES, PasswordFile  # noqa: PLC0415 - as above
    from moorage.auth.watched import Watched  # noqa: PLC0415 - as above

    with _reading("auth.htpasswd.path", auth.path):
        return Watched(Path(auth.path), PasswordFile.parse, limit_bytes=FILE_LIMIT_BYTES)


@contextmanager
def _reading(path: str, file: str) -> Iterator[None]:
    if said := said_of_text(file):
        raise ConfigurationError([Mistake(path, said)])
    try:
        yield
    except OSError as exc:
        message = f"{exc.filename} cannot be read: {reason_of(exc, exc.filename, 'read')}"
        raise ConfigurationError([Mistake(path, message)]) from None
    except ValueError as exc:
        message = f"the file cannot be used: {exc}"
        raise ConfigurationError([Mistake(path, message)]) from None
