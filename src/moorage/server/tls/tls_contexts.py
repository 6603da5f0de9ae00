"""HTTPS of one address: what is spoken there, and certificates that change while connections stay open.

The server holds one :class:`ServerTLS` for as long as it lives. Each new connection is made from the context that it
currently has; those that are open keep what they were made from.
"""

import contextlib
import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from moorage.config.ciphers import DEFAULT_NAMES, OPENSSL_NAMES, TLS13_NAMES
from moorage.errors import ConfigurationError, Mistake
from moorage.telemetry import get_log

_log = get_log("tls")

CHECK = timedelta(seconds=1)
"""Time between two looks whether files have changed; a changed file is read when it has stood still as long."""

Stamp = tuple[int, int, int] | None
"""Mark that tells whether a file was changed or replaced; None: it is not there."""

AGAIN = 10
"""Looks after which files that could not be used are tried again, though they have not changed: a lack of rights or of
open files, say, may have kept them from being read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Terms on which TLS is spoken at an address, whatever the certificate."""

    path: str
    """The section of the configuration, such as ``http.tls``."""
    client_authorities: tuple[Path, ...] = ()
    needs_client: bool = True
    """True if a client without a certificate is refused, where there are authorities."""
    minimum: str = "tls1.2"
    suites: tuple[str, ...] = ()
    """Of TLS 1.2, by Go's names."""


class Handshake(ssl.SSLObject):
    """The server's end of a connection, which knows where what comes from the client is until it is read."""

    incoming: ssl.MemoryBIO


class ServerTLS(ABC):
    """Everything an address needs to speak HTTPS. Made before workers are forked, so that all have a first context."""

    def __init__(self, first: ssl.SSLContext) -> None:
        self.current = first
        """Maker of new connections; those that are open keep the one that they were made from."""

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Begin a connection."""
        made = self.current.wrap_bio(incoming, outgoing, server_side=True)
        if isinstance(made, Handshake):
            made.incoming = incoming
        return made

    @abstractmethod
    def refresh(self, *, at_once: bool = False) -> None:
        """Take what has changed on the disk. What cannot be used is logged, and what was there before stays.

        Args:
            at_once: also take what may still be being written.
        """

    def begin_issuing(self) -> Callable[[], None]:
        """Begin what one process of a node does for all; what is returned ends it."""
        return lambda: None


class Tries:
    """Memory of files that were tried: those that were good are not read again, others now and then."""

    def __init__(self) -> None:
        self._tried: object = None
        self._looks_left = 0
        """Until the next try; 0: what was tried was good."""
        self._said = ""

    def is_due(self, found: object) -> bool:
        """Return whether files of these stamps are to be read now."""
        if found != self._tried:
            return True
        self._looks_left = max(0, self._looks_left - 1)
        return self._looks_left == 1

    def note(self, found: object, fault: str = "") -> bool:
        """Note what came of a try; return whether the *fault* is another one than was said last."""
        is_new = fault != self._said
        self._tried, self._said, self._looks_left = found, fault, AGAIN + 1 if fault else 0
        return is_new


class FileTLS(ServerTLS):
    """A certificate and a key in files that somebody else writes."""

    def __init__(self, terms: Terms, certificate: Path, key: Path) -> None:
        """Read the files.

        Raises:
            ConfigurationError: they cannot be used.
        """
        self._terms = terms
        self._certificate, self._key = certificate, key
        self._files = (certificate, key, *terms.client_authorities)
        self._seen = stamps(self._files)
        self._tries = Tries()
        self._tries.note(self._seen)
        super().__init__(self._read())

    def refresh(self, *, at_once: bool = False) -> None:
        """Take the files if they have changed, and have not just now: their writer may be between the two."""
        found, before = stamps(self._files), self._seen
        self._seen = found
        if (found != before and not at_once) or not self._tries.is_due(found):
            return
        try:
            self.current = self._read()
        except ConfigurationError as exc:
            if self._tries.note(found, str(exc)):
                _log.error("the new certificate cannot be used; the old one stays", error=str(exc))
        else:
            self._tries.note(found)
            _log.info("new certificate", certificate=str(self._certificate))

    def _read(self) -> ssl.SSLContext:
        from moorage.server.tls.certificates import now, read_pair  # noqa: PLC0415 - a start without TLS need not wait

        mistakes: list[Mistake] = []
        with _gathered(mistakes):
            pair = read_pair(self._terms.path, self._certificate, self._key)
        with _gathered(mistakes):
            context = make_context(self._terms)
        if mistakes:
            raise ConfigurationError(mistakes)
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
            message = f"{self._certificate} cannot be used: {_reason(exc)}"
            raise ConfigurationError([Mistake(f"{self._terms.path}.certificate", message)]) from exc
        for warning in pair.warnings(now()):
            _log.warning(warning, certificate=str(self._certificate))
        return context


@contextlib.contextmanager
def _gathered(mistakes: list[Mistake]) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as exc:
        mistakes += exc.mistakes


def make_context(terms: Terms) -> ssl.SSLContext:
    """A context of *terms*, without a certificate yet.

    Raises:
        ConfigurationError: an authority's file cannot be used, or OpenSSL does not have a suite.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if terms.minimum == "tls1.3" else ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # What is written never has to wait for what is read.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _choose_suites(context, terms)
    if terms.client_authorities:
        _ask_clients(context, terms)
    return context


def stamps(files: Iterable[Path]) -> tuple[Stamp, ...]:
    """Return the stamps of the files as they are now; links are followed."""
    return tuple(map(_stamp, files))


def _stamp(file: Path) -> Stamp:
    try:
        found = os.stat(file)  # noqa: PTH116 - one call, every second
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _choose_suites(context: ssl.SSLContext, terms: Terms) -> None:
    chosen: Sequence[str] = [name for name in terms.suites or DEFAULT_NAMES if name not in TLS13_NAMES]
    if not chosen:
        return
    wanted = {OPENSSL_NAMES[name]: name for name in chosen}
    try:
        context.set_ciphers(":".join(wanted))
    except ssl.SSLError:
        there = set()
    else:
        there = {str(suite["name"]) for suite in context.get_ciphers()}
    if missing := [name for theirs, name in wanted.items() if theirs not in there]:
        message = f"this machine's OpenSSL does not speak {', '.join(missing)}, as it is too weak; take it out"
        raise ConfigurationError([Mistake(f"{terms.path}.ciphersuites", message)])


def _ask_clients(context: ssl.SSLContext, terms: Terms) -> None:
    from moorage.server.tls.certificates import check_authorities  # noqa: PLC0415 - a start without TLS need not wait

    check_authorities(f"{terms.path}.clientcas", terms.client_authorities)
    context.verify_mode = ssl.CERT_REQUIRED if terms.needs_client else ssl.CERT_OPTIONAL
    # As Go has it: whatever is in the files is trusted, also an authority that another one signed.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for index, file in enumerate(terms.client_authorities):
        try:
            context.load_verify_locations(file)
        except OSError as exc:
            path = f"{terms.path}.clientcas[{index}]"
            raise ConfigurationError([Mistake(path, f"{file} cannot be used: {_reason(exc)}")]) from exc


def _no_passphrase() -> str:
    msg = "the key is locked by a passphrase"
    raise ValueError(msg)


def _reason(exc: OSError | ValueError) -> str:
    if isinstance(exc, ssl.SSLError):
        return (exc.reason or str(exc)).replace("_", " ").lower()
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
