"""Getting certificates from an authority by ACME and renewing them: what one process of a node does for all.

It runs in a thread of its own, because the library waits for each answer where it stands.
"""

import contextlib
import hashlib
import random
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from acme import errors as acme_errors
from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier
from josepy import errors as jose_errors

from moorage.config.sections.http import LetsEncrypt
from moorage.errors import ConfigurationError
from moorage.server.atomic_writes import write_whole
from moorage.server.tls.acme_account import TLSALPN01, Account, NotIssued, open_account
from moorage.server.tls.acme_files import IssuedFiles
from moorage.server.tls.certificates import read_pair
from moorage.telemetry import get_log

_log = get_log("letsencrypt")

_LOOK_AGAIN = timedelta(hours=6)
"""Time between two looks whether a certificate is due."""
_FIRST_PAUSE = timedelta(minutes=5)
"""After the first failure; each further one doubles it. Authorities count failures, some five an hour for a host."""
_LONGEST_PAUSE = timedelta(hours=6)
_JITTER = 0.1
_ISSUE_DEADLINE = timedelta(seconds=90)
_ACME_IDENTIFIER = ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""Source: RFC 8737 § 6.1."""

_FAILURES = (
    acme_errors.Error,
    messages.Error,
    jose_errors.Error,
    requests.RequestException,
    OSError,
    ValueError,
    KeyError,
    NotIssued,
)
"""All that the library, an authority that does not keep to the protocol, and the disk do."""


class Issuing(threading.Thread):
    """Keeps certificates fresh for as long as the process lives. Daemonic: whatever it does may be cut."""

    def __init__(self, settings: LetsEncrypt, files: IssuedFiles) -> None:
        super().__init__(name="letsencrypt", daemon=True)
        self._settings = settings
        self._files = files
        self._ended = threading.Event()
        self._failures = 0

    def run(self) -> None:
        """Look, get what is due, wait, and so on."""
        while not self._ended.is_set():
            try:
                pause = self._turn()
            except Exception:  # noqa: BLE001 - the outermost: a mistake of ours must not end all renewals
                _log.exception("looking after certificates crashed; it will be tried again")
                pause = _LONGEST_PAUSE
            self._ended.wait(pause.total_seconds() * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - jitter

    def stop(self) -> None:
        """Begin nothing more."""
        self._ended.set()

    def _turn(self) -> timedelta:
        with self._files.claimed() as is_ours:
            if not is_ours:
                return _FIRST_PAUSE  # Another node is at it.
            due = [host for host in self._settings.hosts if is_due(self._files.certificate(host), host)]
            failed = [host for host in due if not self._issue(host)]
        self._failures = self._failures + 1 if failed else 0
        return min(_FIRST_PAUSE * 2 ** (self._failures - 1), _LONGEST_PAUSE) if failed else _LOOK_AGAIN

    def _issue(self, host: str) -> bool:
        try:
            account = open_account(self._files.account_key, self._settings.directoryurl, self._settings.email)
            issue(account, self._files, host)
        except _FAILURES as exc:
            _log.error("no certificate; it will be tried again", host=host, error=one_line(exc))
            return False
        _log.info("certificate issued", host=host)
        return True


def is_due(path: Path, host: str, now: datetime | None = None) -> bool:
    """Return whether the certificate of a host is missing, of no use, or has used up two thirds of its life."""
    try:
        leaf = read_pair("", path, path).leaf
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ConfigurationError, ValueError, x509.ExtensionNotFound):
        return True
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return host not in names.get_values_for_type(x509.DNSName) or (now or datetime.now(UTC)) > end - (end - begin) / 3


def issue(account: Account, files: IssuedFiles, host: str) -> None:
    """Get a certificate for a host and keep it in *files*; without one, what was there stays.

    Raises:
        NotIssued: the authority will not, or not in this way.
        acme.errors.Error, acme.messages.Error, requests.RequestException: it did not, or did not answer.
        OSError: it cannot be kept.

    Source: RFC 8555 § 7.4, RFC 8737 § 3.
    """
    key = generate_private_key(SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = request.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    order = account.client.new_order(request.sign(key, SHA256()).public_bytes(Encoding.PEM))
    try:
        for authorization in order.authorizations:
            if authorization.body.status != messages.STATUS_VALID:
                _answer(account, files, host, authorization.body.challenges)
        done = account.client.poll_and_finalize(order, _deadline())
    finally:
        with contextlib.suppress(OSError):
            files.check(host).unlink(missing_ok=True)
    # Written anew: autocert takes a file with anything besides, be it an empty line, for damaged.
    chain = x509.load_pem_x509_certificates(done.fullchain_pem.encode())
    content = _pem(key) + b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    write_whole(files.certificate(host), content)


def one_line(exc: BaseException) -> str:
    """An error of the library as one line that says what an administrator can act on."""
    if isinstance(exc, acme_errors.ValidationError):
        return "; ".join(_refusals(exc)) or "the authority's check failed"
    if isinstance(exc, acme_errors.IssuanceError):
        exc = exc.error
    text = " ".join(str(exc).split()) or type(exc).__name__
    return text[:500]


def _refusals(exc: acme_errors.ValidationError) -> Iterator[str]:
    for authorization in exc.failed_authzrs:
        for challenge in authorization.body.challenges:
            if challenge.error is not None:
                yield f"the authority's check failed: {' '.join(str(challenge.error.detail).split())[:300]}"


def _answer(account: Account, files: IssuedFiles, host: str, challenges: Sequence[messages.ChallengeBody]) -> None:
    for body in challenges:
        if isinstance(body.chall, TLSALPN01):
            write_whole(files.check(host), _check_certificate(host, body.chall.validation(account.key)))
            account.client.answer_challenge(body, body.chall.response(account.key))
            return
    offered = ", ".join(str(body.chall.to_partial_json().get("type")) for body in challenges) or "nothing"
    msg = f"the authority does not offer tls-alpn-01 for this host, but {offered}"
    raise NotIssued(msg)


def _check_certificate(host: str, key_authorization: str) -> bytes:
    """Make the key and certificate to show to the authority's check, as PEM. Source: RFC 8737 § 3."""
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moorage acme check")])
    digest = hashlib.sha256(key_authorization.encode()).digest()
    octets = b"\x04\x20" + digest  # DER's OCTET STRING
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    builder = builder.add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, octets), critical=True)
    return _pem(key) + builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    # The form that autocert reads too.
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _deadline() -> datetime:
    return datetime.now() + _ISSUE_DEADLINE  # noqa: DTZ005 - the library compares with local time
