"""Signatures of delivery networks: CloudFront's by an RSA key, Google's by a shared key. SHA-1 is what they ask for."""

import base64
import hmac

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from moorage.storage.egress import UNTOLD, Egress, in_query

GOOGLE_KEY_BYTES = 16

_CLOUDFRONT_ALPHABET = str.maketrans("+=/", "-_~")


class KeyUnusable(ValueError):
    """A file of a key that is no key of the kind that is needed; the text says what is."""


class CloudFrontSigner:
    """Signs URLs by a canned policy: one URL, until one moment.

    Source: Amazon CloudFront Developer Guide, "Create a signed URL using a canned policy".
    """

    def __init__(self, key: RSAPrivateKey, key_id: str) -> None:
        self._key = key
        self._key_id = key_id

    @classmethod
    def from_pem(cls, pem: bytes, key_id: str) -> "CloudFrontSigner":
        """Make one of a private key in PEM.

        Raises:
            KeyUnusable: it is none, or not of RSA.
        """
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            msg = "is no private key in PEM without a passphrase"
            raise KeyUnusable(msg) from None
        if not isinstance(key, RSAPrivateKey):
            msg = "is no RSA key, and CloudFront's signatures are of RSA"
            raise KeyUnusable(msg)
        return cls(key, key_id)

    def __call__(self, url: str, *, expires_at: int, egress: Egress = UNTOLD) -> str:
        """Return *url*, which has no query, signed; 0.3 ms of CPU for a key of 2048 bits.

        What it tells is signed with it: the policy is of the URL with its query.
        """
        told = in_query(egress.ours())
        url = f"{url}?{told}" if told else url
        condition = f'{{"DateLessThan":{{"AWS:EpochTime":{expires_at}}}}}'
        policy = f'{{"Statement":[{{"Resource":"{url}","Condition":{condition}}}]}}'
        signed = self._key.sign(policy.encode(), PKCS1v15(), SHA1())  # noqa: S303 - CloudFront knows no other
        signature = base64.b64encode(signed).decode().translate(_CLOUDFRONT_ALPHABET)
        return f"{url}{'&' if told else '?'}Expires={expires_at}&Signature={signature}&Key-Pair-Id={self._key_id}"


class GoogleCdnSigner:
    """Signs URLs of Cloud CDN and Media CDN by the prefix that is the whole URL, as GitLab's registry does.

    Source: Google Cloud, "Use signed URLs" (URLs with a URL prefix).
    """

    def __init__(self, key: bytes, key_name: str) -> None:
        self._key = key
        self._key_name = key_name

    @classmethod
    def from_text(cls, text: bytes, key_name: str) -> "GoogleCdnSigner":
        """Make one of a key as Google gives it: 16 bytes in base64url.

        Raises:
            KeyUnusable: it is none.
        """
        try:
            key = base64.b64decode(b"".join(text.split()), altchars=b"-_", validate=True)
        except ValueError:
            key = b""
        if len(key) != GOOGLE_KEY_BYTES:
            msg = f"is no key of {GOOGLE_KEY_BYTES} bytes in base64url"
            raise KeyUnusable(msg)
        return cls(key, key_name)

    def __call__(self, url: str, *, expires_at: int, egress: Egress = UNTOLD) -> str:
        """Return *url*, which has no query, signed; some microseconds of CPU, so none is kept.

        What it tells stands behind the signature, which is of a prefix of the URL. Source: GitLab features DRV-031.
        """
        prefix = base64.urlsafe_b64encode(url.encode()).decode()
        signed = f"URLPrefix={prefix}&Expires={expires_at}&KeyName={self._key_name}"
        signature = base64.urlsafe_b64encode(hmac.digest(self._key, signed.encode(), "sha1")).decode()
        told = in_query(egress.pairs("gitlab-"))
        return f"{url}?{signed}&Signature={signature}{'&' if told else ''}{told}"
