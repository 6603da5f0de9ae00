"""The client of one directory: it searches with a name of its own, and binds as the person who signs in.

Referrals are not followed: a password would go to any server that an entry names. Each question has a deadline,
which ends it also where a directory sends a byte now and then.
"""

import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from moorage.control.configured_ldap import LDAPServer
from moorage.control.ldap.people import (
    DirectoryPerson,
    DirectoryUnavailable,
    Entry,
    attributes_read,
    escaped,
    person_of,
    refusal_reason,
    stable_filter,
)
from moorage.control.refusals import PasswordChangeNeeded
from moorage.telemetry import get_log

with warnings.catch_warnings():
    # The library is of 2021, and calls pyasn1 by names that have others since.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException

_SUCCESS, _SIZE_LIMIT, _NO_TLS, _NO_SUCH_OBJECT, _INVALID = 0, 4, 8, 32, 49
_TROUBLED = (1, 2, 3, 8, 10, 11, 13, 51, 52, 80)
"""Results that say nothing of a password: the directory could not, or would not, look. Source: RFC 4511 § 4.1.9."""
_TROUBLES = (LDAPException, OSError, ValueError, DirectoryUnavailable)
_IN_CHAIN = "member:1.2.840.113556.1.4.1941:"
"""Membership through other groups. Source: Microsoft's LDAP_MATCHING_RULE_IN_CHAIN."""
_REASON_LIMIT = 300
_LISTED_LIMIT = 1000
"""Entries that are looked through for people: as many as Active Directory gives at once."""

_log = get_log("control.ldap")

_Answer = TypeVar("_Answer")


class LDAPClient:
    """The client of one directory, or of several copies of it: the first is asked that answers."""

    def __init__(self, provider: str, keys: LDAPServer, *, tell: Callable[[str], None] | None = None) -> None:
        """*provider*: its word at users' identities, such as ``ldapmain``.

        *tell* hears why a copy did not answer; None: that goes to the log.
        """
        self.provider = provider
        self._keys = keys
        self._tell = tell or self._log

    def person_of_password(
        self, login: str, password: str, *, see: Callable[[DirectoryPerson], None]
    ) -> DirectoryPerson | None:
        """Return the person who signs in by *login*, if *password* is theirs and they are not disabled.

        *see* is told of the person who was found, before the password is tried; what it raises ends the question.

        Raises:
            DirectoryUnavailable: it did not answer, or not as it should.
            PasswordChangeNeeded: *password* is theirs, but the directory takes it no more.
        """
        login = login.partition("@")[0] if self._keys.allow_username_or_email_login else login
        if not login or not password:  # With an empty one it would be a bind as nobody, which always succeeds.
            return None
        return self._ask(lambda session: session.person_of_password(login, password, see))

    def person(self, dn: str, stable_id: str) -> DirectoryPerson | None:
        """Return the person whom an identity means, by *stable_id* if there is one, wherever they are now.

        None: the directory has them no more. That is said only while it still shows others: else it is its own rights,
        or the base, that went away.

        Raises:
            DirectoryUnavailable: as above.
        """
        return self._ask(lambda session: session.person(dn, stable_id))

    def people(self, limit: int) -> Sequence[DirectoryPerson]:
        """Return some of those who may sign in.

        Raises:
            DirectoryUnavailable: as above.
        """
        return self._ask(lambda session: session.people(limit))

    def _ask(self, question: "Callable[[_Session], _Answer]") -> _Answer:
        reasons: list[str] = []
        for host, port in self._keys.addresses:
            try:
                with _session(self.provider, self._keys, host, port) as session:
                    return question(session)
            except _TROUBLES as exc:
                reasons.append(f"{host}:{port}: {_reason_of(exc)}"[:_REASON_LIMIT])
                self._tell(reasons[-1])
        raise DirectoryUnavailable("; ".join(reasons))

    def _log(self, reason: str) -> None:
        _log.warning("a directory did not answer as it should", server=self.provider, reason=reason)


class _Session:
    """A connection that is bound with our own name."""

    def __init__(self, provider: str, keys: LDAPServer, connection: Any) -> None:  # noqa: ANN401 - the library has no types
        self._provider = provider
        self._keys = keys
        self._connection = connection
        self._has_more = False
        """True: the last search found more than it gave."""

    def person_of_password(
        self, login: str, password: str, see: Callable[[DirectoryPerson], None]
    ) -> DirectoryPerson | None:
        found = self._found(f"({self._keys.uid}={escaped(login)})", limit=2)
        if len(found) != 1 or self._has_more:
            if found:
                _log.warning("a directory has several people of one name", server=self._provider, dn=found[0].dn)
            return None
        person = self._with_groups(found[0])  # While the connection is still bound with our own name.
        if person.is_disabled:
            _log.warning("a directory's disabled account was refused", server=self._provider, dn=person.dn)
            return None
        see(person)
        return person if self._is_right(person, password) else None

    def person(self, dn: str, stable_id: str) -> DirectoryPerson | None:
        found = self._found(stable_filter(stable_id), limit=1) if stable_id else self._found("", limit=1, at=dn)
        if not found and not self._rows(self._anybody, limit=1):
            msg = "it shows nobody any more; are base, user_filter and the rights of bind_dn as they were?"
            raise DirectoryUnavailable(msg)
        return self._with_groups(found[0]) if found else None

    def people(self, limit: int) -> Sequence[DirectoryPerson]:
        return self._found(self._anybody, limit=max(limit, _LISTED_LIMIT))[:limit]

    @property
    def _anybody(self) -> str:
        return f"({self._keys.uid}=*)"

    def _is_right(self, person: DirectoryPerson, password: str) -> bool:
        secret = password.encode("utf-8", "surrogateescape")
        self._connection.rebind(person.dn, secret, authentication=ldap3.SIMPLE, read_server_info=False)
        result = self._connection.result
        is_right: bool = result["result"] == _SUCCESS
        _see_that_it_looked(result)
        reason, is_change_needed = refusal_reason(result["message"])
        if reason or result["result"] not in (_SUCCESS, _INVALID):
            shown = reason or _said(result)
            _log.warning("a directory refused a sign-in", server=self._provider, dn=person.dn, reason=shown)
        if is_change_needed:
            raise PasswordChangeNeeded(reason)
        return is_right

    def _with_groups(self, person: DirectoryPerson) -> DirectoryPerson:
        keys = self._keys
        if not keys.admin_group:
            return person
        dn, username = escaped(person.dn), escaped(person.username)
        ways = [f"(member={dn})", f"(uniqueMember={dn})", f"(memberUid={username})" if username else ""]
        if keys.active_directory:
            ways.append(f"({_IN_CHAIN}={dn})")
        text = f"(&(cn={escaped(keys.admin_group)})(|{''.join(ways)}))"
        is_in = bool(self._search(keys.group_base, text, ["1.1"], limit=1))
        return replace(person, groups=[keys.admin_group] if is_in else [])

    def _found(self, text: str, *, limit: int, at: str = "") -> Sequence[DirectoryPerson]:
        keys, now = self._keys, datetime.now(UTC)
        found = [
            person_of(
                self._provider,
                dn,
                entry,
                keys.attributes,
                now=now,
                lowers=keys.lowercase_usernames,
                is_active_directory=keys.active_directory,
            )
            for dn, entry in self._rows(text, limit=limit, at=at)
        ]
        return [person for person in found if person.is_person]

    def _rows(self, text: str, *, limit: int, at: str = "") -> Sequence[tuple[str, Entry]]:
        keys = self._keys
        given = f"{text}{keys.user_filter}" or "(objectClass=*)"
        wanted = attributes_read(keys.attributes)
        return self._search(at or keys.base, f"(&{given})", wanted, limit=limit, is_one=bool(at))[:limit]

    def _search(
        self, base: str, text: str, attributes: Sequence[str], *, limit: int, is_one: bool = False
    ) -> Sequence[tuple[str, Entry]]:
        self._connection.search(
            base,
            text,
            search_scope=ldap3.BASE if is_one else ldap3.SUBTREE,
            dereference_aliases=ldap3.DEREF_NEVER,
            attributes=list(attributes),
            size_limit=limit,
        )
        result = self._connection.result
        if is_one and result["result"] == _NO_SUCH_OBJECT:
            return []
        if result["result"] not in (_SUCCESS, _SIZE_LIMIT):
            msg = f"a search below {base!r} failed: {_said(result)}"
            raise DirectoryUnavailable(msg)
        self._has_more = result["result"] == _SIZE_LIMIT
        entries = [row for row in self._connection.response or () if row["type"] == "searchResEntry"]
        return [(str(row["dn"]), row["raw_attributes"]) for row in entries]


@contextmanager
def _session(provider: str, keys: LDAPServer, host: str, port: int) -> "Iterator[_Session]":
    """A session with one host, which ends after its time whatever that host does."""
    server = ldap3.Server(
        host,
        port,
        use_ssl=keys.encryption == "simple_tls",
        tls=_CheckedTLS(keys, host),
        get_info=ldap3.NONE,
        connect_timeout=keys.timeout,
    )
    connection = ldap3.Connection(
        server,
        keys.bind_dn or None,
        keys.password.encode() or None,
        authentication=ldap3.SIMPLE if keys.bind_dn else ldap3.ANONYMOUS,
        auto_bind=ldap3.AUTO_BIND_NONE,
        auto_referrals=False,
        check_names=False,
        read_only=True,
        receive_timeout=keys.timeout,
    )
    watch = threading.Timer(keys.timeout, _cut, [connection])
    watch.daemon = True
    watch.start()
    try:
        connection.open(read_server_info=False)
        if keys.encryption == "start_tls":
            connection.start_tls(read_server_info=False)
        connection.bind(read_server_info=False)
        if connection.result["result"] != _SUCCESS:
            what = "it refused bind_dn and its password"
            if connection.result["result"] == _NO_TLS and keys.encryption == "plain":
                what = "it takes no password without TLS, so that encryption has to be simple_tls or start_tls"
            msg = f"{what}: {_said(connection.result)}"
            raise DirectoryUnavailable(msg)
        yield _Session(provider, keys, connection)
    finally:
        watch.cancel()
        with suppress(*_TROUBLES):
            connection.unbind()
        if connection.socket is not None:  # The library leaves it open where a connection was refused.
            connection.socket.close()


class _CheckedTLS(ldap3.Tls):  # type: ignore[misc] # the library has no types
    """TLS whose certificates Python checks, and not the library's copy of an old check."""

    def __init__(self, keys: LDAPServer, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED if keys.verify_certificates else ssl.CERT_NONE)
        self._authorities = keys.tls_options.ca_file or None
        self._host = host

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002 - as the library's
        """Put TLS around the connection's socket; the handshake is made in any case."""
        del do_handshake
        context = ssl.create_default_context(cafile=self._authorities)
        if self.validate == ssl.CERT_NONE:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection.socket = context.wrap_socket(connection.socket, server_hostname=self._host)


def _reason_of(exc: Exception) -> str:
    """The words of an error, out of the tuples that the library wraps it in."""
    text = str(exc)
    while text.startswith("(") and text.endswith(",)"):
        text = text[1:-2].strip("\"'")
    return text or type(exc).__name__


def _cut(connection: Any) -> None:  # noqa: ANN401 - as above
    """End a connection from another thread: whatever waits for it fails at once."""
    with suppress(OSError, AttributeError):
        connection.socket.shutdown(socket.SHUT_RDWR)


def _see_that_it_looked(result: Any) -> None:  # noqa: ANN401 - as above
    if result["result"] in _TROUBLED:
        raise DirectoryUnavailable(_said(result))


def _said(result: Any) -> str:  # noqa: ANN401 - as above
    return f"{result['description']} {result['message']}".strip()[:_REASON_LIMIT]
