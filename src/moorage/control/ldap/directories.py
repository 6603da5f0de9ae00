"""The directories of the configuration, asked one after the other, and never by all threads at once."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from moorage.control.configured_ldap import PROVIDER_PREFIX, LDAPServer
from moorage.control.ldap.people import DirectoryPerson, DirectoryUnavailable
from moorage.errors import TooManyRequests

if TYPE_CHECKING:
    from moorage.control.ldap.ldap_client import LDAPClient

RETRY = timedelta(seconds=2)
_SEPARATOR = "\\"

_LOCK = threading.Lock()
_ASKING: list[None] = []


def directories() -> Mapping[str, LDAPServer]:
    """Return the directories that are asked, by their word at identities; none if sign-in by LDAP is off."""
    found: Mapping[str, LDAPServer] = settings.MOORAGE.configuration.ldap.used
    return found


def client_of(provider: str) -> "LDAPClient":
    """Return the client of one; its library is loaded where it is needed."""
    from moorage.control.ldap.ldap_client import LDAPClient  # noqa: PLC0415 - dear

    return LDAPClient(provider, directories()[provider])


def named_in(login: str) -> tuple[str, str]:
    r"""Take a directory's id off *login*: ``main\ada`` is ``ada`` of ``ldapmain``. Empty: none is named.

    Capitals do not matter: people of Active Directory put their domain before their name, as ``COMPANY\ada``.
    """
    name, separator, rest = login.partition(_SEPARATOR)
    provider = PROVIDER_PREFIX + name.lower()
    return (provider, rest) if separator and provider in directories() else ("", login)


def person_of_password(
    login: str, password: str, providers: Sequence[str], *, see: Callable[[DirectoryPerson], None] = lambda _: None
) -> DirectoryPerson | None:
    """Return the person who signs in by *login* and *password* at the first of *providers* that has them; None: nobody.

    A directory that stalls holds up no more than half of this process's threads. *see* is told whom the password is
    tried for, before it is, and may refuse.

    Raises:
        DirectoryUnavailable: none has them, but one did not answer.
        PasswordChangeNeeded: *password* is theirs, but the directory takes it no more.
        TooManyRequests: too many are being asked for already.
    """
    with _LOCK:
        if len(_ASKING) >= max(1, settings.MOORAGE.configuration.http.threads // 2):
            msg = "too many passwords are being checked now; try again in a moment, or use an access token"
            raise TooManyRequests(msg, retry_after=RETRY)
        _ASKING.append(None)
    try:
        return _first_of(login, password, providers, see)
    finally:
        with _LOCK:
            _ASKING.pop()


def _first_of(
    login: str, password: str, providers: Sequence[str], see: Callable[[DirectoryPerson], None]
) -> DirectoryPerson | None:
    failure: DirectoryUnavailable | None = None
    for provider in providers:
        try:
            found = client_of(provider).person_of_password(login, password, see=see)
        except DirectoryUnavailable as exc:
            failure = exc
            continue
        if found is not None:
            return found
    if failure is not None:
        raise failure
    return None
