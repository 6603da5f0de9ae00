"""Django, started before the tests of this folder are loaded, with a database that is empty for each of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.test.utils import setup_test_environment, teardown_test_environment
from django.utils import translation

from support.control_site import start_site, taken_back, wiped_after
from support.daemon import Daemon

if TYPE_CHECKING:
    from moorage.control.registry.client import ControlRegistry
    from support.control_registry import MovedClock

start_site()


@pytest.fixture(scope="session", autouse=True)
def _test_environment() -> Iterator[None]:
    setup_test_environment()
    yield
    teardown_test_environment()


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test has an empty database: a transaction that is taken back, or with ``committed`` one that is wiped."""
    with wiped_after() if "committed" in request.fixturenames else taken_back():
        yield


@pytest.fixture(autouse=True)
def _no_language_stays() -> Iterator[None]:
    """A page in German leaves its language to the thread, and so to the messages of the next test."""
    yield
    translation.deactivate()


@pytest.fixture
def committed() -> None:
    """What this test writes is committed: for other threads, and for what waits for a commit."""


@pytest.fixture(autouse=True)
def _nobody_has_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    from moorage.control.credentials import finding  # noqa: PLC0415 - after Django has started
    from moorage.control.credentials.guesses import Guesses  # noqa: PLC0415 - as above
    from moorage.control.sign_in.views import entering  # noqa: PLC0415 - as above

    fresh = Guesses()
    monkeypatch.setattr(finding, "GUESSES", fresh)
    monkeypatch.setattr(entering, "GUESSES", fresh)


@pytest.fixture
def client() -> Client:
    """A client of the whole application, without a server between."""
    return Client(raise_request_exception=True)


@pytest.fixture
def registry(shared_daemon: Daemon) -> Iterator["ControlRegistry"]:
    """The daemon of the session as the control plane's registry."""
    from support.control_registry import registry_at  # noqa: PLC0415 - after Django has started

    with registry_at(shared_daemon.url) as found:
        yield found


@pytest.fixture
def clock() -> "MovedClock":
    """A clock that tests move."""
    from support.control_registry import MovedClock  # noqa: PLC0415 - after Django has started

    return MovedClock()
