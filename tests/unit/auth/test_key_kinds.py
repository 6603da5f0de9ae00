"""Keys of kinds that no token is signed by: they are refused as others are, and crash nobody who reads them again."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from moorage.auth.keys import TrustedKeys
from moorage.auth.tokens import SigningKey
from support.authority import KEY_OF_NO_KIND
from support.tokens import certificate


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.BrainpoolP256R1()])
def test_a_curve_that_no_token_can_name_is_refused_in_certificates_and_private_keys(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    with pytest.raises(ValueError, match="is not one that tokens are signed by"):
        TrustedKeys([certificate(key)])
    with pytest.raises(ValueError, match="is not one that tokens are signed by"):
        SigningKey.read(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_a_private_key_of_a_kind_that_is_not_known_here_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    of_no_kind = base64.encodebytes(der.replace(*KEY_OF_NO_KIND)).decode()
    with pytest.raises(ValueError, match="Unknown key type"):
        SigningKey.read(f"-----BEGIN PRIVATE KEY-----\n{of_no_kind}-----END PRIVATE KEY-----\n".encode())
