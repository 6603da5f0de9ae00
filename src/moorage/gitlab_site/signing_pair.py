"""The key that signs tokens and its certificate, as a site has them in its settings or in files that those name.

A node of the registry alone has the certificate, and a node of GitLab alone has the key.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from moorage.errors import ConfigurationError, Mistake
from moorage.gitlab_site.linux_package import KeyPair
from moorage.permissions import reason_of

_VALID_FOR = timedelta(days=3653)
"""Ten years, as the package's own certificate (OMN-010)."""
_KEY_LIMIT = 1 << 16
"""Of characters: a key of 16,384 bits has some 13,000."""
_KEY = "registry['internal_key']"
KEY_PATH = "gitlab_rails['registry_key_path']"
_CERTIFICATE = "registry['internal_certificate']"


def pair_with_key_file(pair: KeyPair, path: str) -> KeyPair:
    """Return the pair with the key that is in a file; unchanged if there is none and the certificate is given.

    Raises:
        ConfigurationError: there is no key, and nothing else that says which certificate is trusted.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            # An empty file is no key either, and not as if none were named.
            return replace(pair, private=stream.read(_KEY_LIMIT) or "\n", stays_at=path)
    except OSError as exc:
        if pair.certificate:
            return pair
        reason = reason_of(exc, Path(path), "read")
        message = f"{path} cannot be read: {reason}; put the key there, or take the line out and a new key is made"
        raise ConfigurationError([Mistake(KEY_PATH, message)]) from None


def whole_pair(pair: KeyPair) -> KeyPair:
    """Return the pair with a certificate: the given one if it belongs to the key, else a new one signed by the key.

    Raises:
        ConfigurationError: one of them cannot be read, or they do not belong together.
    """
    given = _public_key(pair.certificate) if pair.certificate else None
    if not pair.private:
        return pair
    name = KEY_PATH if pair.stays_at else _KEY
    private = _private_key(pair.private, name, pair.stays_at)
    if given is None:
        return replace(pair, certificate=_self_signed(private))
    if given != private.public_key():
        message = f"is not the certificate of {name}: the registry would refuse every token"
        raise ConfigurationError([Mistake(_CERTIFICATE, message)])
    return pair


def _public_key(certificate: str) -> object:
    try:
        return x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except ValueError:
        raise ConfigurationError([Mistake(_CERTIFICATE, "must be a certificate in PEM form")]) from None


def _private_key(text: str, name: str, path: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        form = "a private key in PEM form and without a password"
        message = f"{path} must be {form}" if path else f"must be {form}; in one line, its lines end in \\n"
        raise ConfigurationError([Mistake(name, message)]) from None
    if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError([Mistake(name, "must be an RSA key or one on an elliptic curve")])
    return found


def _self_signed(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Registry")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + _VALID_FOR)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
