"""People as a directory has them: read from their entries. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.control.configured_ldap import LDAPAttributes

STABLE_IDS = ("entryUUID", "objectGUID", "nsUniqueId")
"""Attributes that stay when an entry is moved or renamed: of OpenLDAP (RFC 4530), Active Directory, and 389."""
_BINARY = "objectGUID"
_STABLE_ID_LIMIT = 48
"""Bytes; the ids of all three have fewer."""
_CONTROL = "userAccountControl"
_DISABLED = 2
"""Source: Microsoft's ADS_USER_FLAG_ENUM, ADS_UF_ACCOUNTDISABLE."""

Entry = Mapping[str, Sequence[bytes]]


class DirectoryUnavailable(Exception):
    """A directory that was not reached, or did not answer as one should. The text is for the log and for commands."""


@dataclass(frozen=True, slots=True)
class DirectoryPerson:
    """A person, as a directory tells of them."""

    provider: str
    """The directory, by its word at identities: ``ldapmain``."""
    dn: str
    stable_id: str = ""
    """``attribute:value`` of an attribute that stays when the entry is moved; empty: the directory has none."""
    username: str = ""
    email: str = ""
    name: str = ""
    is_disabled: bool = False
    groups: Sequence[str] | None = None
    """Those of the groups that were asked for in which they are; None: none was asked for."""

    @property
    def uid(self) -> str:
        """The name at identities: the DN in small letters, as GitLab keeps it."""
        return self.dn.lower()


def person_of(
    provider: str, dn: str, entry: Entry, names: LDAPAttributes, *, lowers: bool = False, reads_control: bool = True
) -> DirectoryPerson:
    """Read an entry.

    Args:
        provider: the directory's word at identities.
        dn: the entry's name.
        entry: its attributes.
        names: where they have what an account needs.
        lowers: True if the user's name is to be in small letters.
        reads_control: True if Active Directory's word counts that an account is disabled.
    """
    first, last = _first(entry, names.first_name), _first(entry, names.last_name)
    username = _first(entry, names.username)
    control = _first(entry, [_CONTROL])
    return DirectoryPerson(
        provider=provider,
        dn=dn,
        stable_id=_stable_id(entry),
        username=username.lower() if lowers else username,
        email=_first(entry, names.email),
        name=_first(entry, names.name) or f"{first} {last}".strip(),
        is_disabled=reads_control and control.isdecimal() and bool(int(control) & _DISABLED),
    )


def attributes_read(names: LDAPAttributes) -> Sequence[str]:
    """Return the attributes that ``person_of`` reads."""
    wanted = [*names.username, *names.email, *names.name, *names.first_name, *names.last_name]
    return list(dict.fromkeys([*wanted, *STABLE_IDS, _CONTROL]))


def stable_filter(stable_id: str) -> str:
    """Return the filter that finds the entry of a stable id."""
    attribute, _, value = stable_id.partition(":")
    raw = bytes.fromhex(value) if attribute == _BINARY else value.encode()
    return f"({attribute}={escaped(raw)})"


def escaped(value: str | bytes) -> str:
    """Return *value* as it stands in a filter, where nothing of it means more than itself.

    Source: RFC 4515 § 3.
    """
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 0x80 else f"\\{byte:02x}" for byte in raw)  # noqa: PLR2004 - ASCII's end


def _stable_id(entry: Entry) -> str:
    for attribute in STABLE_IDS:
        value = next(iter(entry.get(attribute, ())), b"")
        if value and len(value) <= _STABLE_ID_LIMIT:
            return f"{attribute}:{value.hex() if attribute == _BINARY else _text(value)}"
    return ""


def _first(entry: Entry, attributes: Sequence[str]) -> str:
    for attribute in attributes:
        for value in entry.get(attribute, ()):
            if text := _text(value):
                return text
    return ""


def _text(value: bytes) -> str:
    return value.decode(errors="replace").replace("\0", "").strip()  # PostgreSQL keeps no NUL.
