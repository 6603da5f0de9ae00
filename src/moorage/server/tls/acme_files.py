"""The folder of ``http.tls.letsencrypt.cachefile``: an account's key, certificates, and answers to checks.

It is laid out as Go's autocert does in Distribution and GitLab's registry, so that either takes over the other's:

::

    acme_account+key            the account's private key
    registry.example.com        private key, certificate and its chain
    registry.example.com+token  the same for the check that is going on
    moorage.lock                held by the process that speaks to the authority
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_PRIVATE = 0o600


class IssuedFiles:
    """The files by what they are for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def account_key(self) -> Path:
        """The account's private key."""
        return self._folder / "acme_account+key"

    def certificate(self, host: str) -> Path:
        """Key and certificate of a host."""
        return self._folder / host

    def check(self, host: str) -> Path:
        """Key and certificate to show while the authority checks the host."""
        return self._folder / f"{host}+token"

    def prepare(self) -> None:
        """Make the folder, for its owner only, and try whether it can be written to.

        Raises:
            OSError: it cannot.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._opened_lock():
            pass

    @contextlib.contextmanager
    def claimed(self) -> Iterator[bool]:
        """Yield whether this process alone speaks to the authority, for the length of the block."""
        with self._opened_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def _opened_lock(self) -> Iterator[int]:
        lock = os.open(self._folder / "moorage.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            yield lock
        finally:
            os.close(lock)
