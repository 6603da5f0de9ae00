"""PEM files of certificates and keys, read to say what is wrong with them in the administrator's words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from moorage.auth.serials import load_certificates
from moorage.errors import ConfigurationError, Mistake
from moorage.pem import fault_of, kinds_of, said_of_text
from moorage.permissions import reason_of

_SIZE_LIMIT_BYTES = 4 << 20
_OTHERS = 0o007


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate whose key fits."""

    leaf: x509.Certificate
    key_path: Path
    is_open_to_others: bool
    """True if every user of the machine can use the key's file."""

    def warnings(self, now: datetime) -> Iterator[str]:
        """Yield warnings about the certificate and its key, though they can be used."""
        if self.leaf.not_valid_after_utc < now:
            yield f"the certificate has expired on {self.leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if self.leaf.not_valid_before_utc > now:
            yield f"the certificate is not valid before {self.leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        if self.is_open_to_others:
            yield f"every user of this machine can use {self.key_path}; take that away with chmod o= {self.key_path}"


def read_pair(path: str, certificate: Path, key: Path) -> Pair:
    """Read a certificate with its chain, and its key; *path* is the section, such as ``http.tls``.

    Raises:
        ConfigurationError: they cannot be used; what is wrong and what would be right, of both files.
    """
    mistakes: list[Mistake] = []
    leaf, rest = _chain(f"{path}.certificate", certificate, mistakes)
    private = _private_key(f"{path}.key", key, mistakes)
    is_open_to_others = _is_open(key)
    if leaf is not None and private is not None:
        mistakes += _mismatch(path, (leaf, rest), private, (certificate, key))
    if mistakes or leaf is None:
        raise ConfigurationError(mistakes)
    return Pair(leaf, key, is_open_to_others)


def check_authorities(path: str, files: tuple[Path, ...]) -> None:
    """Look whether each of *files* has certificates; *path* is the key, such as ``http.tls.clientcas``.

    Raises:
        ConfigurationError: one does not.
    """
    mistakes: list[Mistake] = []
    for index, file in enumerate(files):
        _chain(f"{path}[{index}]", file, mistakes)
    if mistakes:
        raise ConfigurationError(mistakes)


def _chain(path: str, file: Path, mistakes: list[Mistake]) -> tuple[x509.Certificate | None, list[x509.Certificate]]:
    data = _content(path, file, mistakes)
    if data is None:
        return None, []
    if b"-----BEGIN CERTIFICATE-----" not in data:
        reason = f"has no certificate{kinds_of(data)}; PEM is needed, which begins with -----BEGIN CERTIFICATE-----"
        mistakes.append(Mistake(path, f"{file} {reason}"))
        return None, []
    try:
        found = load_certificates(data)
    except ValueError:
        number = data.count(b"-----BEGIN CERTIFICATE-----")
        reason = "is damaged: its certificate cannot be read" if number == 1 else "is damaged: one cannot be read"
        mistakes.append(Mistake(path, f"{file} {reason}; write it anew from where it came"))
        return None, []
    return found[0], found[1:]


def _private_key(path: str, file: Path, mistakes: list[Mistake]) -> PrivateKeyTypes | None:
    data = _content(path, file, mistakes)
    if data is None:
        return None
    try:
        return load_pem_private_key(data, password=None)
    except TypeError:
        reason = f"is locked by a passphrase; write it without one: openssl pkey -in {file} -out NEW"
    except (ValueError, UnsupportedAlgorithm):
        reason = f"has no private key{kinds_of(data)}; PEM is needed, which begins with -----BEGIN PRIVATE KEY-----"
        if b"PRIVATE KEY-----" in data:
            reason = "is damaged: its private key cannot be read; write it anew from where it came"
    mistakes.append(Mistake(path, f"{file} {reason}"))
    return None


def _content(path: str, file: Path, mistakes: list[Mistake]) -> bytes | None:
    try:
        with file.open("rb") as stream:
            data = stream.read(_SIZE_LIMIT_BYTES + 1)
    except OSError as exc:
        mistakes.append(Mistake(path, said_of_text(str(file)) or f"cannot read {file}: {reason_of(exc, file, 'read')}"))
        return None
    if len(data) > _SIZE_LIMIT_BYTES:
        mistakes.append(Mistake(path, f"{file} has more than {_SIZE_LIMIT_BYTES >> 20} MiB and is no PEM file"))
        return None
    if fault := fault_of(data):
        mistakes.append(Mistake(path, f"{file} {fault}"))
        return None
    return data


def _mismatch(
    path: str,
    chain: tuple[x509.Certificate, list[x509.Certificate]],
    private: PrivateKeyTypes,
    files: tuple[Path, Path],
) -> Iterator[Mistake]:
    (leaf, rest), (certificate, key) = chain, files
    wanted = _spki(private.public_key())
    if _spki_of(leaf) == wanted:
        return
    if _spki_of(leaf) is None:
        message = f"{certificate} is damaged: the key in it cannot be read, or is of a kind that is not known here"
        yield Mistake(f"{path}.certificate", message)
        return
    if any(_spki_of(other) == wanted for other in rest):
        yield Mistake(
            f"{path}.certificate", f"the certificate of {key} must come first in {certificate}, its chain after"
        )
        return
    message = f"{key} is not the key of the certificate in {certificate} ({leaf.subject.rfc4514_string()[:120]})"
    yield Mistake(f"{path}.key", message)


def _is_open(key: Path) -> bool:
    try:
        return bool(key.stat().st_mode & _OTHERS)
    except OSError:  # It is being replaced.
        return False


def _spki_of(certificate: x509.Certificate) -> bytes | None:
    """Return the key of a certificate; None: it cannot be read, though the certificate can."""
    try:
        return _spki(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return None


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def now() -> datetime:
    """The time that certificates are compared with."""
    return datetime.now(UTC)
