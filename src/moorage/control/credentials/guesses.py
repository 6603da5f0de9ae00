"""Wrong passwords, counted by address and by account: guessing costs the guesser, not the honest.

A thread that waits would be taken from others, so that an address which guesses is not answered late as the registry
does it, but sent away unchecked until its time is over.
"""

import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from moorage.auth.addresses import network_of, networks_of
from moorage.auth.failures import Failures
from moorage.cache.remembered import Remembered
from moorage.errors import TooManyRequests

_ADDRESSES = 10_000
_REMEMBERED_FOR = timedelta(minutes=10)
_ACCOUNT_TRIES = 10
_ACCOUNT_CLOSED_FOR = timedelta(minutes=15)
_OWNER_KNOWN_FOR = timedelta(days=7)
"""As long as an address of a right password is known to the count by address."""


class Guesses:
    """Addresses that were wrong lately. One for each process."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = Failures(monotonic=monotonic)
        self._closed_until: Remembered[str, float] = Remembered(_ADDRESSES, age=_REMEMBERED_FOR, monotonic=monotonic)
        self._tries: Remembered[str, int] = Remembered(_ADDRESSES, age=_ACCOUNT_CLOSED_FOR, monotonic=monotonic)
        self._owners: Remembered[tuple[str, str], bool] = Remembered(
            _ADDRESSES, age=_OWNER_KNOWN_FOR, monotonic=monotonic
        )
        """Accounts whose password was right, each with where."""

    def see_that_it_is_open(self, address: str, *, account: str = "", is_strict: bool = False) -> None:
        """Let an address try, and an account be tried.

        An account is closed by its name whether it is there or not; never to where its own password was right lately,
        so that strangers cannot keep its owner out. With *is_strict* it is closed there too: a client that tries
        second factors has had the password right.

        Raises:
            TooManyRequests: it, or a network of it, was wrong a moment ago, too often; or the account's password was.
        """
        with self._lock:
            is_exempt = not is_strict and self._owners.get((network_of(address), account)) is not None
            if (self._tries.get(account) or 0) >= _ACCOUNT_TRIES and not is_exempt:
                msg = "too many wrong passwords for this account; try again in 15 minutes"
                raise TooManyRequests(msg, retry_after=_ACCOUNT_CLOSED_FOR)
            counted = networks_of(address)[:1] if self._failures.was_right(address) else networks_of(address)
            closed_until = max(self._closed_until.get(network.text) or 0.0 for network in counted)
        left_s = closed_until - self._monotonic()
        if left_s > 0:
            msg = "too many wrong passwords came from this address; try again in a moment"
            raise TooManyRequests(msg, retry_after=timedelta(seconds=math.ceil(left_s)))

    def is_known(self, address: str) -> bool:
        """Return whether a password was right there lately."""
        with self._lock:
            return self._failures.was_right(address)

    def note_wrong(self, address: str, *, account: str = "") -> None:
        """Count a wrong password."""
        with self._lock:
            if account:
                self._tries.put(account, (self._tries.get(account) or 0) + 1)
            closed_until = self._monotonic() + self._failures.note(address)
            for network in self._failures.suspects(address):
                self._closed_until.put(network.text, closed_until)

    def note_right(self, address: str, *, account: str = "") -> None:
        """Remember that a password was right there."""
        with self._lock:
            self._tries.pop(account)
            self._owners.put((network_of(address), account), value=True)
            self._failures.note_right(address)


GUESSES = Guesses()
"""Those of this process."""
