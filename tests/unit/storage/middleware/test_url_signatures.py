"""Signatures of delivery networks: as the vendors' own code makes them, and as the vendors would check them."""

import base64
import json
import math
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.signers import CloudFrontSigner as Amazons
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from moorage.storage.egress import Egress
from moorage.storage.middleware.url_signatures import CloudFrontSigner, GoogleCdnSigner, KeyUnusable
from support.tokens import rsa_key

P = int(
    "E9424A34565471D518893BB2AE6B0E2D14652A2426BDE7705428647BDEE2B01F"
    "0EC5B09E738731F77E93325C719AAD411CB795A8C8D228D0A5226F5D12EDCCED",
    16,
)
Q = int(
    "DBF686B48E65D469635627019982BE878E87A797474A5DDE3CC884C3D57F93CC"
    "DB724B830A9FF93F87280023B751B0099CEAF740AB7B6B2AA077DF587733DBD1",
    16,
)

URL = "https://d111111abcdef8.cloudfront.net/docker/registry/v2/blobs/sha256/ab/abcd/data"
BY_BOTOCORE = (
    f"{URL}?Expires=1767225600&Signature=gi0BzdoEvdgewZByqVfeydpq5OeCaw2nfZUCTt1MY1j8ehAJIBSLk5RvmTioiFzGCnrk0wTgrrd"
    "qTVxB-vUrNDizHJmZsekIn6vhYAG8S5ZTjkTxX9I8GlWQjj6mw-wHGQK2G-zgn3YRwPOjAFKtIRWFkiR-yukywgGe-~B3Eew_"
    "&Key-Pair-Id=K2JCJMDEHXQW5F"
)
"""Made by ``botocore.signers.CloudFrontSigner`` 1.44.8 with the key of these primes, for 2026-01-01."""


def key_of(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65537, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PrivateFormat, secret: bytes = b"") -> bytes:
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(secret) if secret else NoEncryption())


class TestCloudFront:
    def test_a_url_is_as_amazons_own_code_signs_it(self) -> None:
        assert CloudFrontSigner(key_of(P, Q), "K2JCJMDEHXQW5F")(URL, expires_at=1767225600) == BY_BOTOCORE

    def test_amazons_own_code_signs_the_same_whatever_the_key_and_the_time(self) -> None:
        key, ends_at = rsa_key(), datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
        theirs = Amazons("APKA1", lambda message: key.sign(message, PKCS1v15(), SHA1()))  # noqa: S303 - CloudFront's
        signed = theirs.generate_presigned_url(URL, date_less_than=ends_at)
        assert CloudFrontSigner(key, "APKA1")(URL, expires_at=int(ends_at.timestamp())) == signed

    def test_what_it_tells_is_signed_as_amazons_own_code_signs_a_url_with_a_query(self) -> None:
        key, ends_at = rsa_key(), datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
        theirs = Amazons("APKA1", lambda message: key.sign(message, PKCS1v15(), SHA1()))  # noqa: S303 - CloudFront's
        told = "x-gitlab-auth-type=a%20b&x-gitlab-namespace-id=3&x-gitlab-project-id=12&x-gitlab-size-bytes=7"
        signed = theirs.generate_presigned_url(f"{URL}?{told}", date_less_than=ends_at)
        ours = CloudFrontSigner(key, "APKA1")
        assert ours(URL, expires_at=int(ends_at.timestamp()), egress=Egress(3, 12, "a b", 7)) == signed
        assert "x-gitlab" not in ours(URL, expires_at=1, egress=Egress(auth_type="password", size_bytes=7))

    @pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
    def test_the_signature_is_of_the_policy_that_cloudfront_makes_of_the_url(self, form: PrivateFormat) -> None:
        key = rsa_key()
        signed = CloudFrontSigner.from_pem(pem(key, form), "APKAEXAMPLE")(URL, expires_at=1999999999)
        query = {name: value for name, (value,) in parse_qs(urlsplit(signed).query).items()}
        assert (query["Expires"], query["Key-Pair-Id"], signed.partition("?")[0]) == ("1999999999", "APKAEXAMPLE", URL)
        policy = {"Statement": [{"Resource": URL, "Condition": {"DateLessThan": {"AWS:EpochTime": 1999999999}}}]}
        text = query["Signature"].replace("-", "+").replace("_", "=").replace("~", "/")
        checked = json.dumps(policy, separators=(",", ":")).encode()
        key.public_key().verify(base64.b64decode(text), checked, PKCS1v15(), SHA1())  # noqa: S303 - CloudFront's

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"no key", "no private key in PEM"),
            (b"", "no private key in PEM"),
            (pem(rsa_key(), PrivateFormat.PKCS8, b"secret"), "without a passphrase"),
            (pem(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8), "no RSA key"),
        ],
    )
    def test_a_file_that_is_no_such_key_is_refused(self, content: bytes, why: str) -> None:
        with pytest.raises(KeyUnusable, match=why):
            CloudFrontSigner.from_pem(content, "K")


class TestGoogleCdn:
    """Source: the examples of Google's documentation, "Use signed URLs"."""

    KEY = b"nZtRohdNF9m3cKM24IcK4w=="

    @pytest.mark.parametrize(
        ("url", "expires_at", "prefix", "signature"),
        [
            (
                "https://media.example.com/segments/",
                1558131350,
                "aHR0cHM6Ly9tZWRpYS5leGFtcGxlLmNvbS9zZWdtZW50cy8=",
                "HWE5tBTZgnYVoZzVLG7BtRnOsgk=",
            ),
            ("https://www.google.com/", 1549751401, "aHR0cHM6Ly93d3cuZ29vZ2xlLmNvbS8=", "o0zZ77jb7BgtGRPQEaXmX3cCLh8="),
        ],
    )
    def test_a_url_is_as_google_documents_it(self, url: str, expires_at: int, prefix: str, signature: str) -> None:
        signed = f"URLPrefix={prefix}&Expires={expires_at}&KeyName=my-key&Signature={signature}"
        assert GoogleCdnSigner.from_text(self.KEY, "my-key")(url, expires_at=expires_at) == f"{url}?{signed}"

    def test_what_it_tells_stands_behind_the_signature_as_in_gitlabs_registry(self) -> None:
        sign = GoogleCdnSigner.from_text(self.KEY, "my-key")
        plain = sign(URL, expires_at=1558131350)
        told = "gitlab-auth-type=gitlab_or_ldap&gitlab-namespace-id=3&gitlab-project-id=12&gitlab-size-bytes=7"
        assert sign(URL, expires_at=1558131350, egress=Egress(3, 12, "gitlab_or_ldap", 7)) == f"{plain}&{told}"

    def test_a_line_end_in_the_file_does_not_count(self) -> None:
        texts = (self.KEY, self.KEY + b"\n")
        plain, ended = (GoogleCdnSigner.from_text(text, "k")(URL, expires_at=1) for text in texts)
        assert plain == ended

    @pytest.mark.parametrize("content", [b"", b"short", b"nZtRohdNF9m3cKM24IcK4w", b"!" * 24, b"A" * 44, b"\xff" * 24])
    def test_a_file_that_is_no_such_key_is_refused(self, content: bytes) -> None:
        with pytest.raises(KeyUnusable, match="16 bytes in base64url"):
            GoogleCdnSigner.from_text(content, "k")
