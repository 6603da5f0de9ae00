"""``control.yml``'s ``ldap``: directories whose people sign in, by GitLab's keys.

Source: GitLab's ``config/gitlab.yml.example``, section ``ldap``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from moorage.config.section import Count, Flag, Secret, Text, Whole, now, unused
from moorage.control.configured_values import ControlSection, is_host
from moorage.errors import Mistake

PROVIDER_PREFIX = "ldap"
"""Of a server's word at users' identities: ``ldapmain``. Source: GitLab's name of it."""

_ID = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9;-]*", re.ASCII)
_PORTS: Mapping[str, int] = {"plain": 389, "start_tls": 389, "simple_tls": 636}
_PORT_LIMIT = 1 << 16
_SECONDS_LIMIT = 60


def _some(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_some)]
"""One name, or several of which the first is taken that is there."""


_WITHOUT_FUNCTION = {
    "ssl_version": "TLS 1.2 or newer is agreed on",
    "ciphers": "those of the system are taken",
    "cert": "Moorage shows a directory no certificate",
    "key": "Moorage shows a directory no certificate",
    "external_groups": "there are no external users here",
    "sync_ssh_keys": "there are no SSH keys here",
    "sync_name": "a name is taken over once",
    "smartcard_auth": "security keys do this here",
    "prevent_ldap_sign_in": "`enabled` says it",
}


def _nothing(value: object, info: ValidationInfo) -> None:
    if value not in (None, "", False, [], {}):
        msg = f"has no function here: {_WITHOUT_FUNCTION[str(info.field_name)]}; take it out"
        raise ValueError(msg)


Nothing = Annotated[object, BeforeValidator(_nothing)]
"""A key of GitLab's that may stand here only as if it asked for nothing."""


def _without_function(key: str) -> Any:  # noqa: ANN401 - as pydantic's Field
    return unused(None, f"Refused, unless it is empty or false: {_WITHOUT_FUNCTION[key]}.")


class LDAPTLS(ControlSection):
    """``ldap.servers.<id>.tls_options``: TLS with a directory."""

    ca_file: Text = now("", "PEM file of the authorities that are trusted; empty: the system's.")
    ssl_version: Nothing = _without_function("ssl_version")
    ciphers: Nothing = _without_function("ciphers")
    cert: Nothing = _without_function("cert")
    key: Nothing = _without_function("key")


class LDAPAttributes(ControlSection):
    """``ldap.servers.<id>.attributes``: where a person's entry has what an account needs."""

    username: Names = now(["uid", "userid", "sAMAccountName"], "The user's name: the first that an entry has.")
    email: Names = now(["mail", "email", "userPrincipalName"], "The address.")
    name: Names = now(["cn"], "The full name.")
    first_name: Names = now(["givenName"], "The first part of the full name, where `name` is not there.")
    last_name: Names = now(["sn"], "Its last part.")


class LDAPServer(ControlSection):
    """``ldap.servers.<id>``: one directory."""

    label: Text = now("LDAP", "Name of the directory on the sign-in page.")
    host: Text = now("", "The directory's host.")
    port: Annotated[Count, Field(lt=_PORT_LIMIT)] = now(0, "Its port; 0: 389, or 636 for `simple_tls`.")
    hosts: list[tuple[str, int]] = now(
        [], "Hosts and ports of copies of one directory, instead of `host`: asked in this order until one answers."
    )
    uid: Text = now("", "Attribute that people sign in by, such as `uid`, or `sAMAccountName` of Active Directory.")
    encryption: Literal["", "plain", "start_tls", "simple_tls"] = now("", "How the connection is made safe.")
    verify_certificates: Flag = now(True, "False: any certificate is taken, so that passwords can be read on the way.")
    tls_options: LDAPTLS = now(LDAPTLS, "TLS.")
    bind_dn: Text = now("", "Name by which Moorage searches; empty: as nobody.")
    password: Secret = now("", "Its password.")
    passwordfile: Text = now("", "File that has it.")
    base: Text = now("", "Where people are searched for.")
    user_filter: Text = now("", "Filter that people have to meet, such as `(memberOf=cn=staff,dc=example,dc=com)`.")
    timeout: Annotated[Whole, Field(ge=1, le=_SECONDS_LIMIT)] = now(10, "Seconds that one question may take.")
    active_directory: Flag = now(
        True,
        "True: disabled and expired accounts, machines and groups of Active Directory are kept out, and its nested "
        "groups are looked into.",
    )
    allow_username_or_email_login: Flag = now(False, "True: what is typed behind an `@` is left out.")
    lowercase_usernames: Flag = now(False, "True: names of new users are in small letters.")
    block_auto_created_users: Flag = now(False, "True: new users are let in by an administrator.")
    link_by_email: Flag = now(False, "True: an account with the same e-mail address is taken.")
    attributes: LDAPAttributes = now(LDAPAttributes, "Where an entry has what an account needs.")
    group_base: Text = now("", "Where groups are searched for.")
    admin_group: Text = now("", "Name (`cn`) of the group whose members are administrators, and no others of here.")
    external_groups: Nothing = _without_function("external_groups")
    sync_ssh_keys: Nothing = _without_function("sync_ssh_keys")
    sync_name: Nothing = _without_function("sync_name")
    smartcard_auth: Nothing = _without_function("smartcard_auth")

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Hosts and ports, in the order in which they are asked."""
        given = self.hosts or [(self.host, self.port)]
        return [(host.strip("[]"), port or _PORTS[self.encryption or "plain"]) for host, port in given]


class LDAPKeys(ControlSection):
    """``ldap``: directories whose people sign in."""

    enabled: Flag = now(False, "True: people sign in by the directories below.")
    servers: dict[str, LDAPServer] = now({}, "The directories, each under an id of its own, such as `main`.")
    prevent_ldap_sign_in: Nothing = _without_function("prevent_ldap_sign_in")

    @property
    def used(self) -> Mapping[str, LDAPServer]:
        """The directories that are asked, by the provider's word; none if it is not enabled."""
        return {PROVIDER_PREFIX + name: server for name, server in self.servers.items()} if self.enabled else {}


def settled_ldap(found: LDAPKeys, secret: Callable[[str, str, str], str], folder: Path) -> LDAPKeys:
    """Return *found* with secrets in place of the files that have them, and with whole paths."""
    servers = {}
    for name, server in found.servers.items():
        password = secret(f"ldap.servers.{name}.password", server.password, server.passwordfile)
        tls = server.tls_options
        if tls.ca_file:
            tls = tls.model_copy(update={"ca_file": str(folder / tls.ca_file)})
        servers[name] = server.model_copy(update={"password": password, "tls_options": tls})
    return found.model_copy(update={"servers": servers})


def checked_ldap(found: LDAPKeys) -> Iterator[Mistake]:
    """Find what one key alone does not show."""
    if found.enabled and not found.servers:
        yield Mistake("ldap.servers", "a directory is needed with ldap.enabled, such as main: {host: …}")
    for name, server in found.servers.items():
        path = f"ldap.servers.{name}"
        if _ID.fullmatch(name) is None:
            yield Mistake(path, "an id has small letters, digits and _, such as main")
        for key, message in (*_address_problems(server), *_search_problems(server), *_group_problems(server)):
            yield Mistake(f"{path}.{key}", message)


def _address_problems(server: LDAPServer) -> Iterator[tuple[str, str]]:
    if bool(server.host) == bool(server.hosts):
        yield "host", "is needed, or hosts" if not server.host else "hosts are there too; take one of the two out"
    for host, port in server.hosts or ([(server.host, server.port)] if server.host else []):
        if not is_host(host):
            yield (
                "hosts" if server.hosts else "host",
                "a host without scheme and port is needed, such as ldap.example.com",
            )
        elif not 0 <= port < _PORT_LIMIT:
            yield "hosts", f"{port} is no port"
    if not server.encryption:
        yield "encryption", "is needed: simple_tls, start_tls or, for a directory on this machine, plain"
    if server.tls_options.ca_file and not Path(server.tls_options.ca_file).is_file():
        yield "tls_options.ca_file", f"{server.tls_options.ca_file} is not there"


def _search_problems(server: LDAPServer) -> Iterator[tuple[str, str]]:
    for key in ("base", "label"):
        if not getattr(server, key):
            yield key, "must not be empty"
    if _ATTRIBUTE.fullmatch(server.uid) is None:
        yield "uid", "an attribute is needed, such as uid or sAMAccountName"
    # Without a password a directory takes anybody's name, and tells little.
    if bool(server.bind_dn) != bool(server.password) and not server.passwordfile:
        yield ("password", "is needed with bind_dn") if server.bind_dn else ("bind_dn", "is needed with password")
    if problem := filter_problem(server.user_filter):
        yield "user_filter", problem
    for key, names in server.attributes:
        if isinstance(names, list) and not all(_ATTRIBUTE.fullmatch(name) for name in names):
            yield f"attributes.{key}", "names of attributes are needed, such as [uid, sAMAccountName]"


def _group_problems(server: LDAPServer) -> Iterator[tuple[str, str]]:
    if bool(server.group_base) != bool(server.admin_group):
        missing, other = ("group_base", "admin_group") if server.admin_group else ("admin_group", "group_base")
        yield missing, f"is needed with {other}"


def filter_problem(text: str) -> str:
    """Return what is wrong with the form of a filter; empty if nothing is. Its words are the directory's to judge."""
    depth = 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0 or (depth == 0 and at < len(text) - 1):
            return "one filter in parentheses is needed, such as (objectClass=person)"
    if text and (depth != 0 or len(text) < len("(a=b)") or "\0" in text):
        return "its parentheses do not close, or nothing is in them"
    return ""
