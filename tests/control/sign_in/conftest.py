"""What tests of sign-in share."""

import pytest

from moorage.control.credentials import finding
from moorage.control.credentials.guesses import Guesses
from moorage.control.sign_in.views import entering


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to wait after a wrong password waits for the whole test, however slow the machine is."""
    guesses = Guesses(monotonic=lambda: 1000.0)
    monkeypatch.setattr(finding, "GUESSES", guesses)
    monkeypatch.setattr(entering, "GUESSES", guesses)
