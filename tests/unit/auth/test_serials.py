"""Certificates without a positive serial number: their keys are trusted as any other, without a warning."""

import base64
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from moorage.auth.keys import TrustedKeys, read_certificates
from moorage.auth.serials import with_serial
from support.tokens import certificate, rsa_key

DER = certificate(rsa_key()).public_bytes(Encoding.DER)
NUMBER = x509.load_der_x509_certificate(DER).serial_number.to_bytes(20).lstrip(b"\0")
PLACE = DER.index(NUMBER)


def changed(number: bytes) -> bytes:
    return DER[:PLACE] + number + DER[PLACE + len(NUMBER) :]


@pytest.mark.parametrize("first", [b"\x80", b"\xff"])
def test_a_key_whose_certificate_has_a_negative_serial_number_is_trusted(first: bytes) -> None:
    der = changed(first + NUMBER[1:])
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    keys = TrustedKeys(read_certificates(pem))
    assert len(keys) == 1
    assert keys.find({"x5c": [base64.b64encode(der).decode()]}, time.time())


def test_a_serial_number_of_zero_is_taken_for_another() -> None:
    found = x509.load_der_x509_certificate(with_serial(changed(bytes(len(NUMBER)))))
    assert found.serial_number > 0
    assert found.public_key().public_numbers() == rsa_key().public_key().public_numbers()  # type: ignore[union-attr]


@pytest.mark.parametrize("der", [DER, b"", b"0", b"\x30\x80", b"\x30\x03\x30\x01\xa0"])
def test_what_needs_no_other_serial_number_stays_as_it_is(der: bytes) -> None:
    assert with_serial(der) == der
