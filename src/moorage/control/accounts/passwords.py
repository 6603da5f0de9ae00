"""The check of a password, in one thread of low priority for the whole process.

A hash takes 0.02 s and 19 MiB. Three may wait; whoever comes then is sent away before anything is hashed, so that
those who come with tokens never wait for those who come with passwords. A password that was right a moment ago is
remembered by a keyed digest, as docker sends it again for each token.
"""

import hashlib
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.contrib.auth.hashers import check_password, make_password

from moorage.cache.remembered import Remembered
from moorage.errors import TooManyRequests

WAITING_LIMIT = 3
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
        self._key = secrets.token_bytes(32)
        self._right = Remembered[bytes, bool](_REMEMBERED, age=_REMEMBERED_FOR)
        self._nobody = ""

    def was_right(self, hashed: str, password: str) -> bool:
        """Return whether this was found right a moment ago; nothing is hashed."""
        with self._lock:
            return self._right.get(self._name(hashed, password)) is not None

    def is_right(self, hashed: str | None, password: str) -> bool:
        """Check *password*; *hashed* None: there is no such user, which takes as long.

        Raises:
            TooManyRequests: too many are being checked.
        """
        if hashed is not None and self.was_right(hashed, password):
            return True
        with self._lock:
            if self._waiting >= WAITING_LIMIT:
                msg = "too many passwords are being checked now; try again in a moment, or use an access token"
                raise TooManyRequests(msg, retry_after=RETRY)
            self._waiting += 1
            if self._thread is None:  # Not before: a process that forks would lose it.
                self._thread = ThreadPoolExecutor(1, "password", initializer=_lower_priority)
        try:
            is_right = self._thread.submit(self._check, hashed, password[:PASSWORD_LENGTH_LIMIT]).result()
        finally:
            with self._lock:
                self._waiting -= 1
        is_right = is_right and hashed is not None and len(password) <= PASSWORD_LENGTH_LIMIT
        if is_right and hashed is not None:
            with self._lock:
                self._right.put(self._name(hashed, password), value=True)
        return is_right

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
