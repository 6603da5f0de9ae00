"""HTTPS of one address: what is spoken there, and certificates that change while connections stay open.

The server holds one :class:`CurrentContext` for as long as it lives. Each new connection is made from the context
that it currently points to; those that are open keep what they were made from.
"""

import contextlib
import os
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from moorage.config.ciphers import DEFAULT_NAMES, OPENSSL_NAMES, TLS13_NAMES
from moorage.errors import ConfigurationError, Mistake
from moorage.telemetry import get_log

_log = get_log("tls")

CHECK = timedelta(seconds=1)
"""Time between two looks whether files have changed; a changed file is read when it has stood still as long."""

_NO_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE"})
"""Failures with a client that does not speak TLS, and would not understand an alert."""

_FIRST_BYTES = 16
_HTTP = re.compile(rb"[A-Z]{1,16}([ ]|\Z)")
"""The beginning of a request; TLS begins with a byte that is no letter."""

_SPEAK_HTTPS_BODY = b'{"errors":[{"code":"UNSUPPORTED","message":"this port speaks HTTPS: use https://"}]}'
_SPEAK_HTTPS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_SPEAK_HTTPS_BODY), _SPEAK_HTTPS_BODY)

Stamp = tuple[int, int, int] | None
"""Mark that tells whether a file was changed or replaced; None: it is not there."""


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
    """A connection that tells its client why it is refused, and the log too.

    The event loops drop what OpenSSL wrote before it failed, which is the alert; a client would see no more than the
    end of the connection. So the failure is held back until the alert has gone out: what ends the connection then is
    the client, which has no use for it any more, or the handshake's deadline.

    A client that speaks plain HTTP gets an answer that it understands, and the connection ends after it: for the event
    loop the handshake was done, and the client has nothing more to say.

    A client that ends its half only, by TLS's own word for it, may wait for answers still: whoever has set ``on_end``
    is told, and ends the connection. If it ends its half of TCP instead the event loop ends the connection at once.
    """

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    on_end: Callable[[], object] | None = None
    """Told that the client sends no more, maybe more than once."""
    _failure: ssl.SSLError | None = None
    _first = b""
    _speaks_http = False

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        if self._failure is not None:
            raise self._failure
        if not self._first:
            data = self.incoming.read()
            self.incoming.write(data)
            self._first = data[:_FIRST_BYTES]
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as exc:
            if _HTTP.match(self._first):
                self._answer_http()
                return
            _log.info("a client was refused in the TLS handshake", reason=_said(exc))
            if not self.outgoing.pending or exc.reason in _NO_TLS:
                raise
            self._failure = exc
            raise ssl.SSLWantReadError from exc

    def read(self, len: int = 1024, buffer: bytearray | memoryview | None = None) -> bytes:  # type: ignore[override]  # noqa: A002 - the signature is Python's
        """Read what the client sends; when it has ended its half, wait with the end until it is answered."""
        if self._speaks_http:
            return b""
        taken = super().read(len, buffer)
        if not taken and self.on_end is not None:
            self.on_end()
            raise ssl.SSLWantReadError
        return taken

    def pending(self) -> int:
        """Return how much can be read; for a client that speaks plain HTTP 1, so that the end is read."""
        return 1 if self._speaks_http else super().pending()

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - the signature is Python's
        """The client's certificate."""
        return None if self._speaks_http else super().getpeercert(binary_form)

    def unwrap(self) -> None:
        """End it."""
        if not self._speaks_http:
            super().unwrap()

    def _answer_http(self) -> None:
        """Tell a client that speaks plain HTTP, in its language, that this is the wrong one."""
        _log.debug("a client speaks plain HTTP to a port for HTTPS")
        self.outgoing.read()  # An alert, which it would not understand.
        self.outgoing.write(_SPEAK_HTTPS)
        self._speaks_http = True


class CurrentContext(ssl.SSLContext):
    """A context that makes every connection from another one, which can be exchanged at any time."""

    current: ssl.SSLContext

    def wrap_bio(  # noqa: PLR0917 - the signature is Python's
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as above
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection from the newest context."""
        made = self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, Handshake):
            made.incoming, made.outgoing = incoming, outgoing
        return made


class ServerTLS(ABC):
    """Everything an address needs to speak HTTPS. Made before workers are forked, so that all have a first context."""

    def __init__(self, first: ssl.SSLContext) -> None:
        self.context = CurrentContext(ssl.PROTOCOL_TLS_SERVER)
        """For the server, once and for all."""
        self.context.current = first

    @abstractmethod
    def refresh(self, *, at_once: bool = False) -> None:
        """Take what has changed on the disk. What cannot be used is logged, and what was there before stays.

        Args:
            at_once: also take what may still be being written.
        """

    def begin_issuing(self) -> Callable[[], None]:
        """Begin what one process of a node does for all; what is returned ends it."""
        return lambda: None


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
        self._tried = self._seen = stamps(self._files)
        super().__init__(self._read())

    def refresh(self, *, at_once: bool = False) -> None:
        """Take the files if they have changed, and have not just now: their writer may be between the two."""
        found, before = stamps(self._files), self._seen
        self._seen = found
        if found == self._tried or (found != before and not at_once):
            return
        self._tried = found
        try:
            self.context.current = self._read()
        except ConfigurationError as exc:
            _log.error("the new certificate cannot be used; the old one stays", error=str(exc))
        else:
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
    context.sslobject_class = Handshake
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if terms.minimum == "tls1.3" else ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
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


def _said(exc: ssl.SSLError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"client certificate: {exc.verify_message}"
    return _reason(exc)


def _no_passphrase() -> str:
    msg = "the key is locked by a passphrase"
    raise ValueError(msg)


def _reason(exc: OSError | ValueError) -> str:
    if isinstance(exc, ssl.SSLError):
        return (exc.reason or str(exc)).replace("_", " ").lower()
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
