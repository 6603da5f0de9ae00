"""What is read off an entry, whatever a directory has in it."""

from moorage.control.configured_ldap import LDAPAttributes
from moorage.control.ldap.people import Entry, escaped, person_of, stable_filter

NAMES = LDAPAttributes()


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
    person = person_of("ldapmain", "CN=Ada", entry, NAMES, lowers=True)
    assert (person.username, person.email, person.name) == ("ada", "ada@company.example", "Ada \ufffd")
    assert (person.uid, person.stable_id, person.is_disabled) == ("cn=ada", "", False)


def test_active_directorys_id_is_found_again_by_its_bytes() -> None:
    person = person_of("ldapmain", "CN=Ada", {"objectGUID": [bytes(range(16))]}, NAMES)
    assert stable_filter(person.stable_id) == "(objectGUID=" + "".join(f"\\{byte:02x}" for byte in range(16)) + ")"


def test_what_is_escaped_is_letters_and_digits_or_bytes_in_hexadecimal() -> None:
    assert escaped("Ada*(\\)é\udc80") == "Ada\\2a\\28\\5c\\29\\c3\\a9\\80"
