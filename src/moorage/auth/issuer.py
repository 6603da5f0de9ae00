"""The keys of the issuer that ``auth.token`` trusts, from its files, which are read again when they change."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from moorage.auth.keys import Key, TrustedKeys, read_certificates, read_jwks, shown
from moorage.auth.watched import Watched
from moorage.telemetry import get_log

_LIMIT_BYTES = 1 << 20
_SOON = timedelta(days=30)

_log = get_log("auth")


Bundle = Watched[tuple[x509.Certificate, ...]]
KeySet = Watched[Mapping[str, Key]]


def watch_bundle(path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> Bundle:
    """The certificates of ``auth.token.rootcertbundle``.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds none, or one that cannot be trusted.
    """
    return Watched(path, _bundle, limit_bytes=_LIMIT_BYTES, monotonic=monotonic)


def watch_jwks(path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> KeySet:
    """The keys of ``auth.token.jwks``. Raises: as :func:`watch_bundle` does."""
    return Watched(path, read_jwks, limit_bytes=_LIMIT_BYTES, monotonic=monotonic)


class IssuerKeys:
    """The keys of both files: call it for the keys of now."""

    def __init__(self, bundle: Bundle | None, jwks: KeySet | None, *, now: Callable[[], float] = time.time) -> None:
        self._bundle = bundle
        self._jwks = jwks
        self._now = now
        self._read = self._look()
        self._keys = TrustedKeys(*self._read)

    def __call__(self) -> TrustedKeys:
        """The keys of now, as of a second ago; the same object for as long as they are the same."""
        found = self._look()
        if found[0] is not self._read[0] or found[1] is not self._read[1]:
            self._read, self._keys = found, TrustedKeys(*found)
            for concern in self.concerns():
                _log.warning(concern)
        return self._keys

    def concerns(self) -> Sequence[str]:
        """List the certificates that have expired, or will soon."""
        now = self._now()
        return [
            f"the certificate {found.subject.rfc4514_string()[:200]} of auth.token.rootcertbundle "
            + (
                "has expired, so that tokens of its key are refused"
                if ends_at < now
                else f"expires at {shown(ends_at)}"
            )
            for found in self._keys.expired(now + _SOON.total_seconds())
            for ends_at in [found.not_valid_after_utc.timestamp()]
        ]

    def _look(self) -> tuple[tuple[x509.Certificate, ...], Mapping[str, Key]]:
        return self._bundle.get() if self._bundle else (), self._jwks.get() if self._jwks else _NONE


_NONE: Mapping[str, Key] = {}


def _bundle(content: bytes) -> tuple[x509.Certificate, ...]:
    certificates = tuple(read_certificates(content))
    TrustedKeys(certificates)  # What cannot be trusted is found now, while what was there before is still there.
    return certificates
