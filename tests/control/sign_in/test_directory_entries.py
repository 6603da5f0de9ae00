"""What is read off an entry, whatever a directory has in it."""

from datetime import UTC, datetime

import pytest

from moorage.control.configured_ldap import LDAPAttributes
from moorage.control.ldap.people import Entry, escaped, person_of, refusal_reason, stable_filter

NAMES = LDAPAttributes()
NOW = datetime(2026, 5, 1, tzinfo=UTC)
NOW_THERE = (13_422_067_200) * 10**7
"""The same, as Active Directory counts time."""


def test_the_first_attribute_that_is_there_counts_and_odd_bytes_do_no_harm() -> None:
    entry: Entry = {
        "userid": [b" ", b"Ada"],
        "sAMAccountName": [b"other"],
        "mail": [],
        "userPrincipalName": [b"ada@company.example"],
        "givenName": [b"A\0da"],
        "sn": [b"\xff"],
        "userAccountControl": [b"no number"],
        "entryUUID": [b"x" * 500],
    }
    person = person_of("ldapmain", "CN=Ada", entry, NAMES, now=NOW, lowers=True)
    assert (person.username, person.email, person.name) == ("ada", "ada@company.example", "Ada \ufffd")
    assert (person.uid, person.stable_id, person.is_disabled) == ("cn=ada", "", False)


def test_active_directorys_id_is_found_again_by_its_bytes() -> None:
    person = person_of("ldapmain", "CN=Ada", {"objectGUID": [bytes(range(16))]}, NAMES, now=NOW)
    assert stable_filter(person.stable_id) == "(objectGUID=" + "".join(f"\\{byte:02x}" for byte in range(16)) + ")"


def test_what_is_escaped_is_letters_and_digits_or_bytes_in_hexadecimal() -> None:
    assert escaped("Ada*(\\)é\udc80") == "Ada\\2a\\28\\5c\\29\\c3\\a9\\80"


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [
        (b"0", False),
        (b"9223372036854775807", False),
        (str(NOW_THERE - 1).encode(), True),
        (str(NOW_THERE).encode(), True),
        (str(NOW_THERE + 10).encode(), False),
        (b"9" * 5000, False),
        (b"-1", False),
    ],
)
def test_an_account_of_active_directory_ends_with_its_last_day(expiry: bytes, *, expected: bool) -> None:
    entry: Entry = {"accountExpires": [expiry], "userAccountControl": [b"512"]}
    assert person_of("ldapmain", "CN=Ada", entry, NAMES, now=NOW).is_disabled is expected
    assert not person_of("ldapmain", "CN=Ada", entry, NAMES, now=NOW, is_active_directory=False).is_disabled


@pytest.mark.parametrize(
    ("kind", "expected"), [(b"User", True), (b"Computer", False), (b"group", False), (b"inetOrgPerson", True)]
)
def test_machines_and_groups_of_active_directory_are_no_people(kind: bytes, *, expected: bool) -> None:
    entry: Entry = {"objectClass": [b"top", kind]}
    assert person_of("ldapmain", "CN=Ada", entry, NAMES, now=NOW).is_person is expected
    assert person_of("ldapmain", "CN=Ada", entry, NAMES, now=NOW, is_active_directory=False).is_person


def test_active_directory_says_why_it_takes_a_password_no_more() -> None:
    said = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {}, v1db1"
    assert refusal_reason(said.format("775")) == ("the account is locked", False)
    assert refusal_reason(said.format("773")) == ("the password has to be changed first", True)
    assert refusal_reason(said.format("532")) == ("the password is too old", True)
    for silent in (said.format("52e"), "", "data 773"):
        assert refusal_reason(silent) == ("", False)
