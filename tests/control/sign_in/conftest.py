"""What tests of sign-in share."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from control.sign_in.directory_sign_in import Configure
from moorage.control.configured_ldap import LDAPKeys, LDAPServer
from moorage.control.credentials import finding
from moorage.control.credentials.guesses import Guesses
from moorage.control.sign_in.views import entering
from support.sign_in_pages import configured
from support.slapd import PEOPLE, SEARCHER, SEARCHER_PASSWORD, Directory, People, slapd


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to wait after a wrong password waits for the whole test, however slow the machine is."""
    guesses = Guesses(monotonic=lambda: 1000.0)
    monkeypatch.setattr(finding, "GUESSES", guesses)
    monkeypatch.setattr(entering, "GUESSES", guesses)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    """One server for all tests of a file."""
    with slapd(tmp_path_factory.mktemp("slapd") / "server") as directory:
        yield directory


@pytest.fixture
def people(running: Directory) -> Iterator[People]:
    """The people of the directory: Ada alone."""
    with running.people() as people:
        people.add("ada")
        yield people


@pytest.fixture
def configure(running: Directory, people: People) -> Iterator[Configure]:
    """Configure sign-in by the directory, with other keys if they are given."""
    stack = ExitStack()

    def with_keys(**values: Any) -> None:  # noqa: ANN401 - keys of any kind
        keys: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": running.port,
            "uid": "uid",
            "encryption": "plain",
            "bind_dn": SEARCHER,
            "password": SEARCHER_PASSWORD,
            "base": PEOPLE,
            "label": "Company",
        }
        others = values.pop("others", {})
        servers = {"main": LDAPServer.model_validate(keys | values)}
        servers |= {name: LDAPServer.model_validate(keys | more) for name, more in others.items()}
        stack.enter_context(configured(ldap=LDAPKeys(enabled=True, servers=servers)))

    with stack:
        with_keys()
        yield with_keys
