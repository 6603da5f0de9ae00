"""The key that signs tokens and its certificate, as a site has them in its settings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from moorage.errors import ConfigurationError, Mistake
from moorage.gitlab_site.linux_package import KeyPair

_VALID_FOR = timedelta(days=3653)
"""Ten years, as the package's own certificate (OMN-010)."""
_KEY = "registry['internal_key']"
_CERTIFICATE = "registry['internal_certificate']"


def whole_pair(pair: KeyPair) -> KeyPair:
    """Return the pair with a certificate: the given one if it belongs to the key, else a new one signed by the key.

    Raises:
        ConfigurationError: one of them cannot be read, or they do not belong together.
    """
    private = _private_key(pair.private)
    if not pair.certificate:
        return replace(pair, certificate=_self_signed(private))
    try:
        given = x509.load_pem_x509_certificate(pair.certificate.encode()).public_key()
    except ValueError:
        raise ConfigurationError([Mistake(_CERTIFICATE, "must be a certificate in PEM form")]) from None
    if given != private.public_key():
        message = f"is not the certificate of {_KEY}: the registry would refuse every token"
        raise ConfigurationError([Mistake(_CERTIFICATE, message)])
    return pair


def _private_key(text: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        message = "must be a private key in PEM form and without a password; in one line, its lines end in \\n"
        raise ConfigurationError([Mistake(_KEY, message)]) from None
    if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError([Mistake(_KEY, "must be an RSA key or one on an elliptic curve")])
    return found


def _self_signed(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Registry")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + _VALID_FOR)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
