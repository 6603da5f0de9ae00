"""Certificates of version 1, as OpenSSL made them for a long time."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from support.tokens import PrivateKey

_BY_SHA256, _BY_SHA1 = (bytes.fromhex(f"2a864886f70d0101{end}") for end in ("0b", "05"))
"""Names of algorithms: RSA with either hash."""


def as_version_1(made: x509.Certificate, signer: PrivateKey, *, by_sha1: bool = False) -> x509.Certificate:
    """*made* without version and extensions, signed anew: nothing here writes such certificates any more.

    *by_sha1*: for an RSA key.
    """
    fields = _parts(_parts(made.tbs_certificate_bytes)[0][1])
    kept = b"".join(whole for whole, _ in fields if whole[0] not in (0xA0, 0xA3))
    if by_sha1:
        kept = kept.replace(_BY_SHA256, _BY_SHA1)
    body = _tlv(0x30, kept)
    if isinstance(signer, rsa.RSAPrivateKey):
        chosen = hashes.SHA1() if by_sha1 else hashes.SHA256()  # noqa: S303 - it is to be refused
        signature = signer.sign(body, padding.PKCS1v15(), chosen)
    else:
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        signature = signer.sign(body, ec.ECDSA(hashes.SHA256()))
    algorithm = next(whole for whole, _ in fields if whole[0] == 0x30)
    if by_sha1:
        algorithm = algorithm.replace(_BY_SHA256, _BY_SHA1)
    return x509.load_der_x509_certificate(_tlv(0x30, body + algorithm + _tlv(0x03, b"\0" + signature)))


def _parts(der: bytes) -> list[tuple[bytes, bytes]]:
    """Each value of *der*, whole and without its head."""
    found = []
    while der:
        more = der[1] & 0x7F if der[1] & 0x80 else 0
        size = int.from_bytes(der[2 : 2 + more]) if more else der[1]
        end = 2 + more + size
        found.append((der[:end], der[2 + more : end]))
        der = der[end:]
    return found


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    head = [size] if size < 0x80 else [0x81, size] if size < 0x100 else [0x82, *size.to_bytes(2)]
    return bytes([tag, *head]) + content
