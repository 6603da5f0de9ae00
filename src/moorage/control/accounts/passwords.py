"""The check of a password, in one thread of low priority for the whole process.

A hash takes 0.02 s and 19 MiB. Three may wait, and two more from where a password was right lately; whoever comes then
is sent away before anything is hashed, so that those who come with tokens never wait for those who come with passwords.
Of the same password that comes several times at once one is hashed, and one that was right a moment ago is remembered
by a keyed digest, as docker sends it again for each token.
"""

import hashlib
import os
import secrets
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

from django.contrib.auth.hashers import check_password, make_password

from moorage.cache.remembered import Remembered
from moorage.errors import TooManyRequests

WAITING_LIMIT = 3
KNOWN_WAITING_LIMIT = 5
"""With those of addresses where a password was right lately: guessers never take the last two."""
RETRY = timedelta(seconds=2)
PASSWORD_LENGTH_LIMIT = 1024
"""Characters; a longer one is nobody's."""

_NICENESS = 10
_REMEMBERED = 4096
_REMEMBERED_FOR = timedelta(minutes=5)


class PasswordChecks:
    """The thread, and what it found right lately. One for each process."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._waiting = 0
        self._checking: dict[bytes, Future[bool]] = {}
        self._key = secrets.token_bytes(32)
        self._right: Remembered[bytes, bool] = Remembered(_REMEMBERED, age=_REMEMBERED_FOR)
        self._nobody = ""

    def was_right(self, hashed: str, password: str) -> bool:
        """Return whether this was found right a moment ago; nothing is hashed."""
        with self._lock:
            return self._right.get(self._name(hashed, password)) is not None

    def is_right(self, hashed: str | None, password: str, *, is_known: bool = False) -> bool:
        """Check *password*.

        Args:
            hashed: what is kept of the right one; None: there is no such user, which takes as long.
            password: what came.
            is_known: True if it comes from where one was right lately.

        Raises:
            TooManyRequests: too many are being checked.
        """
        if hashed is not None and self.was_right(hashed, password):
            return True
        name = self._name(hashed or "", password)
        with self._lock:
            if self._waiting >= (KNOWN_WAITING_LIMIT if is_known else WAITING_LIMIT):
                msg = "too many passwords are being checked now; try again in a moment, or use an access token"
                raise TooManyRequests(msg, retry_after=RETRY)
            self._waiting += 1
            checking = self._begun(name, hashed, password)
        try:
            is_right = checking.result()
        finally:
            with self._lock:
                self._waiting -= 1
                self._checking.pop(name, None)
        is_right = is_right and hashed is not None and len(password) <= PASSWORD_LENGTH_LIMIT
        if is_right:
            with self._lock:
                self._right.put(name, value=True)
        return is_right

    def _begun(self, name: bytes, hashed: str | None, password: str) -> "Future[bool]":
        """The check of these, which another request may have begun."""
        if self._thread is None:  # Not before: a process that forks would lose it.
            self._thread = ThreadPoolExecutor(1, "password", initializer=_lower_priority)
        if name not in self._checking:
            self._checking[name] = self._thread.submit(self._check, hashed, password[:PASSWORD_LENGTH_LIMIT])
        return self._checking[name]

    def _check(self, hashed: str | None, password: str) -> bool:
        if not self._nobody:
            self._nobody = make_password(secrets.token_urlsafe())
        return check_password(password, hashed or self._nobody)

    def _name(self, hashed: str, password: str) -> bytes:
        text = f"{hashed}\0{password}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()


CHECKS = PasswordChecks()
"""Those of this process."""


def _lower_priority() -> None:
    # Linux has a niceness for each thread. Others refuse, and nothing is lost.
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
