"""Certificates whose serial number is no positive one, as some packages make them; nothing here needs that number.

Source: RFC 5280 § 4.1.2.2, which wants users to handle such certificates gracefully.
"""

import base64
import re

from cryptography import x509

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_INTEGER, _VERSION, _NEGATIVE = 0x02, 0xA0, 0x80


def load_certificates(content: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file; where the serial number is 0 or less, another stands for it.

    Such a certificate's own signature does not fit any more. A registry that trusts the file does not look at it.

    Raises:
        ValueError: one cannot be read, or there is none.
    """
    blocks = [found[1] for found in _BLOCK.finditer(content)]
    ders = [base64.b64decode(b"".join(block.split())) for block in blocks if b":" not in block]
    try:
        if len(ders) == len(blocks) and any(with_serial(der) != der for der in ders):
            return [x509.load_der_x509_certificate(with_serial(der)) for der in ders]
        return list(x509.load_pem_x509_certificates(content))
    except x509.InvalidVersion as exc:  # Which is no ValueError.
        raise ValueError(str(exc)) from None


def with_serial(der: bytes) -> bytes:
    """A certificate whose serial number is positive: the same one where it is so already, or where it is none."""
    try:
        start = _content(der, _content(der, 0)[0])[0]  # Certificate, TBSCertificate
        if der[start] == _VERSION:
            start = sum(_content(der, start))
        content, length = _content(der, start)
        is_wrong = der[start] == _INTEGER and length > 0
        number = der[content : content + length]
    except IndexError:
        return der
    if not is_wrong or (number[0] < _NEGATIVE and any(number)):
        return der
    return der[:content] + b"\x01" + der[content + 1 :]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of an element begins, and how long it is."""
    first = der[at + 1]
    if first < _NEGATIVE:
        return at + 2, first
    count = first & 0x7F
    return at + 2 + count, int.from_bytes(der[at + 2 : at + 2 + count])
