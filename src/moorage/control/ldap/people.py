"""People as a directory has them: read from their entries. No I/O."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moorage.control.configured_ldap import LDAPAttributes

STABLE_IDS = ("entryUUID", "objectGUID", "nsUniqueId")
"""Attributes that stay when an entry is moved or renamed: of OpenLDAP (RFC 4530), Active Directory, and 389."""
_BINARY = "objectGUID"
_STABLE_ID_LIMIT = 48
"""Bytes; the ids of all three have fewer."""
_DIGITS_LIMIT = 19
"""Of the largest number that Active Directory has."""
_CONTROL = "userAccountControl"
_DISABLED = 2
"""Source: Microsoft's ADS_USER_FLAG_ENUM, ADS_UF_ACCOUNTDISABLE."""
_EXPIRY = "accountExpires"
"""The end of an account, in tenths of microseconds since 1601; 0 and what no calendar has mean: none."""
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LOCK = "nsAccountLock"
"""Of 389 and FreeIPA: true where an account is locked by hand."""
_LOCKED_AT = "pwdAccountLockedTime"
_LOCKED_FOR_GOOD = "000001010000Z"
"""Until an administrator unlocks it; another time ends by itself. Source: slapo-ppolicy(5)."""
_KINDS = "objectClass"
_NO_PEOPLE = frozenset({"computer", "group"})
"""Kinds of entries that have a name to sign in by in Active Directory; machines have a password, too."""

_ACTIVE_DIRECTORYS_REASON = re.compile(r"AcceptSecurityContext error, data ([0-9a-f]+),", re.ASCII)
_CHANGE_NEEDED = {"532": "the password is too old", "773": "the password has to be changed first"}
_REASONS = {
    **_CHANGE_NEEDED,
    "530": "not at this hour",
    "531": "not from this machine",
    "533": "the account is disabled",
    "701": "the account has expired",
    "775": "the account is locked",
}
"""Source: Microsoft's system error codes 1328 to 1331, 1793, 1907 and 1909, in hexadecimal."""

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
    """True: the directory has disabled or locked the account for good, or its last day is over."""
    is_person: bool = True
    """False: it is a machine or a group of Active Directory."""
    groups: Sequence[str] | None = None
    """Those of the groups that were asked for in which they are; None: none was asked for."""

    @property
    def uid(self) -> str:
        """The name at identities: the DN in small letters, as GitLab keeps it."""
        return self.dn.lower()


def person_of(
    provider: str,
    dn: str,
    entry: Entry,
    names: LDAPAttributes,
    *,
    now: datetime,
    lowers: bool = False,
    is_active_directory: bool = True,
) -> DirectoryPerson:
    """Read an entry.

    Args:
        provider: the directory's word at identities.
        dn: the entry's name.
        entry: its attributes.
        names: where they have what an account needs.
        now: the time.
        lowers: True if the user's name is to be in small letters.
        is_active_directory: True if Active Directory's words count on what an account is, and that it is disabled.
    """
    first, last = _first(entry, names.first_name), _first(entry, names.last_name)
    username = _first(entry, names.username)
    kinds = {_text(value).lower() for value in entry.get(_KINDS, ())}
    return DirectoryPerson(
        provider=provider,
        dn=dn,
        stable_id=_stable_id(entry),
        username=username.lower() if lowers else username,
        email=_first(entry, names.email),
        name=_first(entry, names.name) or f"{first} {last}".strip(),
        is_disabled=_is_locked(entry) or (is_active_directory and _is_disabled(entry, now)),
        is_person=not (is_active_directory and kinds & _NO_PEOPLE),
    )


def attributes_read(names: LDAPAttributes) -> Sequence[str]:
    """Return the attributes that ``person_of`` reads."""
    wanted = [*names.username, *names.email, *names.name, *names.first_name, *names.last_name]
    return list(dict.fromkeys([*wanted, *STABLE_IDS, _CONTROL, _EXPIRY, _LOCK, _LOCKED_AT, _KINDS]))


def refusal_reason(message: str) -> tuple[str, bool]:
    """Return why Active Directory takes a password no more, by the words of its refusal, and True if a new one helps.

    Empty: the password is wrong, as far as it says, or it is another directory.
    """
    found = _ACTIVE_DIRECTORYS_REASON.search(message)
    code = found[1] if found is not None else ""
    return _REASONS.get(code, ""), code in _CHANGE_NEEDED


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


def _is_locked(entry: Entry) -> bool:
    return _first(entry, [_LOCK]).lower() == "true" or _first(entry, [_LOCKED_AT]) == _LOCKED_FOR_GOOD


def _is_disabled(entry: Entry, now: datetime) -> bool:
    return bool(_number(entry, _CONTROL) & _DISABLED) or _is_over(entry, now)


def _is_over(entry: Entry, now: datetime) -> bool:
    at = _number(entry, _EXPIRY)
    return 0 < at <= (now - _EPOCH) // timedelta(microseconds=1) * 10


def _number(entry: Entry, attribute: str) -> int:
    text = _first(entry, [attribute])
    return int(text) if text.isdecimal() and len(text) <= _DIGITS_LIMIT else 0


def _first(entry: Entry, attributes: Sequence[str]) -> str:
    for attribute in attributes:
        for value in entry.get(attribute, ()):
            if text := _text(value):
                return text
    return ""


def _text(value: bytes) -> str:
    return value.decode(errors="replace").replace("\0", "").strip()  # PostgreSQL keeps no NUL.
