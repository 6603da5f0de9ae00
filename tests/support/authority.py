"""A certificate authority of a test's own, and what it certifies."""

import base64
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_SIGNS = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Certified:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def serial(self) -> int:
        return serial_of(self.certificate.read_bytes())


class Authority:
    """Signs certificates in *folder*; its own is in ``folder/ca.crt``, as docker and skopeo look for it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = generate_private_key(SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test authority {folder.name}")])
        built = self._builder(self._name, self._key, (datetime.now(UTC) - timedelta(days=1), timedelta(days=3)))
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        built = built.add_extension(_SIGNS, critical=True)
        self.certificate.write_bytes(built.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def certify(
        self, name: str, *names: str, into: Path | None = None, begin: datetime | None = None, days: float = 2
    ) -> Certified:
        """A certificate for *names* (hosts or addresses; *name* if there are none), in ``<name>.crt`` and ``.key``."""
        key = generate_private_key(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begin = begin or datetime.now(UTC) - timedelta(minutes=5)
        built = self._builder(subject, key, (begin, timedelta(days=days)))
        built = built.add_extension(x509.SubjectAlternativeName(_names(names or (name,))), critical=False)
        folder = into or self.folder
        made = Certified(folder / f"{name}.crt", folder / f"{name}.key")
        made.certificate.write_bytes(built.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        made.key.write_bytes(private_pem(key))
        made.key.chmod(0o600)
        return made

    def trusted(self, client: Certified | None = None) -> ssl.SSLContext:
        """A client that trusts this authority and nobody else, and shows *client* where it is asked."""
        context = ssl.create_default_context(cafile=self.certificate)
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def _builder(
        self, subject: x509.Name, key: EllipticCurvePrivateKey, life: tuple[datetime, timedelta]
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(subject_name=subject, issuer_name=self._name, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        # Both identifiers, and the authority's usage: Python 3.13 and newer verify strictly by RFC 5280, section 4.2.
        named = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(named, critical=False).add_extension(signed_by, critical=False)
        return builder.not_valid_before(life[0]).not_valid_after(life[0] + life[1])


def serial_of(certificate: bytes) -> int:
    """The serial number of a certificate in PEM or, as it comes over the wire, in DER."""
    if certificate.startswith(b"-----") or b"-----BEGIN CERT" in certificate:
        return x509.load_pem_x509_certificate(certificate).serial_number
    return x509.load_der_x509_certificate(certificate).serial_number


def private_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


KEY_OF_NO_KIND = (bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f"))
OF_NO_VERSION = (bytes.fromhex("a003020102"), bytes.fromhex("a00302010f"))


def damaged(certificate: bytes, damage: tuple[bytes, bytes]) -> bytes:
    """The PEM of a certificate in which one piece of its bytes was replaced by another."""
    der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    assert damage[0] in der
    text = base64.encodebytes(der.replace(*damage, 1)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()
