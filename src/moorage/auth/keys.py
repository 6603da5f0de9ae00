"""Public keys and certificates that tokens are trusted by: read from files, found by what a token's header says.

Source: GitLab features TOK-003, TOK-004, TOK-012; RFC 7515 § 4.1; RFC 7638.
"""

import base64
import binascii
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from moorage.auth.serials import load_certificates, with_serial
from moorage.json_nesting import parse_json
from moorage.pem import fault_of, kinds_of

Key = RSAKey | ECKey | OKPKey

RSA_BITS = 2048
"""Shorter RSA keys are not trusted."""

CHAIN_LIMIT = 5
"""Certificates that a token may carry."""

_RSA_BITS_LIMIT = 4096
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1", "secp256k1"})
"""Of RFC 7518 § 6.2.1.1 and RFC 8812: others have no name in a token."""
_EXPONENT_BITS_LIMIT = 32
"""Of keys that a token brings along: checking a signature takes time by both, and anybody can send a token."""

_DEPTH = 5
"""Certificates between the one that signed and the one that is trusted, at most."""

_BEGIN = "-----BEGIN CERTIFICATE-----"


class UntrustedKey(Exception):
    """A token's key is not trusted; the text says why and is safe to show."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that tokens may be signed by, for as long as its certificate is valid. Times are in seconds since 1970."""

    key: Key
    begins_at: float = -math.inf
    ends_at: float = math.inf

    def checked(self, now: float) -> "TrustedKey":
        """This key, if its certificate is valid at *now*.

        Raises:
            UntrustedKey: it is not, or not any more.
        """
        if now > self.ends_at:
            msg = f"the certificate of the key that signed the token has expired, at {shown(self.ends_at)}"
            raise UntrustedKey(msg)
        if now < self.begins_at:
            msg = f"the certificate of the key that signed the token is not valid before {shown(self.begins_at)}"
            raise UntrustedKey(msg)
        return self


class TrustedKeys:
    """The keys of an issuer. It never changes: where a file changes, there is another of these."""

    def __init__(self, certificates: Sequence[x509.Certificate] = (), keys: Mapping[str, Key] | None = None) -> None:
        """*keys* are those of a JWK set, by their own id.

        Raises:
            ValueError: a key is of a kind, or of a length, that nobody should trust.
        """
        self._certificates = tuple(certificates)
        self._by_id: dict[str, TrustedKey] = {}
        for certificate in certificates:
            key = _key_of(certificate)
            trusted = TrustedKey(key, certificate.not_valid_before_utc.timestamp(), _end(certificate))
            for name in (key_id(key), key.thumbprint()):
                known = self._by_id.get(name)
                # The same key may be there under a certificate that was renewed.
                if known is None or known.ends_at < trusted.ends_at:
                    self._by_id[name] = trusted
        for name, key in (keys or {}).items():
            self._by_id |= dict.fromkeys((name, key_id(key), key.thumbprint()), TrustedKey(key))
        self._store = verification.Store(list(certificates)) if certificates else None

    def __len__(self) -> int:
        """Count the keys."""
        return len({trusted.key.thumbprint() for trusted in self._by_id.values()})

    def expired(self, at: float) -> Sequence[x509.Certificate]:
        """The certificates that are not valid any more at a time."""
        return [certificate for certificate in self._certificates if _end(certificate) < at]

    def find(self, header: Mapping[str, Any], now: float) -> TrustedKey:
        """The key that a token with this *header* has to be signed by: by ``x5c``, else ``jwk``, else ``kid``.

        Raises:
            UntrustedKey: there is none.
        """
        if header.get("x5c"):
            return self._by_chain(header["x5c"], now)
        if "jwk" in header:
            return self._by_jwk(header["jwk"], now)
        if header.get("kid"):
            return self._by_name(header["kid"], "the token is signed by an untrusted key with ID", now)
        msg = "the token does not say which key it is signed by: its header has none of kid, x5c and jwk"
        raise UntrustedKey(msg)

    def _by_name(self, name: object, message: str, now: float) -> TrustedKey:
        trusted = self._by_id.get(name) if isinstance(name, str) else None
        if trusted is None:
            msg = f"{message}: {str(name)[:80]}"
            raise UntrustedKey(msg)
        return trusted.checked(now)

    def _by_jwk(self, jwk: object, now: float) -> TrustedKey:
        key = read_jwk(jwk)
        assert isinstance(jwk, dict)  # noqa: S101 - read_jwk has seen it
        if "x5c" not in jwk:
            return self._by_name(key.thumbprint(), "the token's jwk is not trusted and has no x5c; its thumbprint", now)
        trusted = self._by_chain(jwk["x5c"], now)
        if trusted.key.thumbprint() != key.thumbprint():
            msg = "the token's jwk is not the key of the certificate in its x5c"
            raise UntrustedKey(msg)
        return trusted

    def _by_chain(self, chain: object, now: float) -> TrustedKey:
        leaf, *others = _read_chain(chain)
        if self._store is None:
            msg = "the token has an x5c, and this registry trusts no certificates"
            raise UntrustedKey(msg)
        try:
            for certificate in (leaf, *others):
                if certificate not in self._certificates:
                    _check_size(certificate.public_key())
            way = self._way(self._store, [leaf, *others], now)
            key = import_key(leaf.public_key())
        except verification.VerificationError as exc:
            msg = f"the certificate in the token's x5c does not lead to a trusted one: {exc}"
            raise UntrustedKey(msg) from None
        except (ValueError, UnsupportedAlgorithm) as exc:
            msg = f"the key of a certificate in the token's x5c cannot be used: {exc}"
            raise UntrustedKey(msg) from None
        return TrustedKey(key, ends_at=min(_end(certificate) for certificate in way))

    def _way(
        self, store: verification.Store, chain: Sequence[x509.Certificate], now: float
    ) -> Sequence[x509.Certificate]:
        """The certificates from the first of *chain* to a trusted one.

        Raises:
            verification.VerificationError: it leads to none.
        """
        leaf, *others = chain
        if leaf.version is x509.Version.v1:
            return self._way_of_old(store, chain, now)
        ca = verification.ExtensionPolicy.permit_all().require_present(
            x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
        )
        policy = (
            verification.PolicyBuilder().store(store).time(datetime.fromtimestamp(now, UTC)).max_chain_depth(_DEPTH)
        )
        policy = policy.extension_policies(ca_policy=ca, ee_policy=verification.ExtensionPolicy.permit_all())
        return policy.build_client_verifier().verify(leaf, others).chain

    def _way_of_old(
        self, store: verification.Store, chain: Sequence[x509.Certificate], now: float
    ) -> Sequence[x509.Certificate]:
        """As :meth:`_way`, where the first is of version 1: it has no extensions, and the verifier takes none such."""
        leaf, *others = chain
        if not _is_valid(leaf, now):
            msg = "it is of version 1 and is not valid now"
            raise verification.VerificationError(msg)
        if leaf in self._certificates:
            return [leaf]
        for issuer in (*self._certificates, *others):
            if _has_signed(issuer, leaf) and _is_valid(issuer, now):
                return [leaf, *self._way(store, [issuer, *(other for other in others if other != issuer)], now)]
        msg = "it is of version 1, and no authority that is trusted has signed it"
        raise verification.VerificationError(msg)


def key_id(key: Key) -> str:
    """The fingerprint by which libtrust, and so GitLab, names a key.

    Source: GitLab features TOK-004.
    """
    public = key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def read_certificates(content: bytes) -> Sequence[x509.Certificate]:
    """The certificates of a PEM file, whatever else is in it.

    Raises:
        ValueError: there is none, or one cannot be read.
    """
    if fault := fault_of(content):
        msg = f"it {fault}"
        raise ValueError(msg)
    if _BEGIN.encode() not in content:
        msg = f"it has no certificate{kinds_of(content)}; at least one is needed, in PEM ({_BEGIN})"
        raise ValueError(msg)
    try:
        return load_certificates(content)
    except ValueError:
        msg = "it is damaged: a certificate in it cannot be read; write it anew from where it came"
        raise ValueError(msg) from None


def read_jwks(content: bytes) -> Mapping[str, Key]:
    """The public keys of a JWK set, by their id, or their thumbprint if they have none.

    Raises:
        ValueError: it is none, or a key cannot be used.
    """
    value = parse_json(content)
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not entries:
        msg = 'it is no JWK set; {"keys": [...]} with at least one key is needed'
        raise ValueError(msg)
    found: dict[str, Key] = {}
    for number, entry in enumerate(entries):
        try:
            key = read_jwk(entry)
        except UntrustedKey as exc:
            msg = f"key {number}: {exc}"
            raise ValueError(msg) from None
        name = entry.get("kid")
        found[name if isinstance(name, str) and name else key.thumbprint()] = key
    return found


def read_jwk(value: object) -> Key:
    """A public key of a JWK; of a private one, its public half.

    Raises:
        UntrustedKey: it is none, or none that signs tokens here.
    """
    kinds: dict[str, type[Key]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(str(value.get("kty"))) if isinstance(value, dict) else None
    if kind is None or not isinstance(value, dict):
        msg = "the jwk is no public key of kty RSA, EC or OKP"
        raise UntrustedKey(msg)
    public = {name: value[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in value}
    try:
        return import_key(kind.import_key(public).public_key)
    except (JoseError, ValueError, KeyError, TypeError, UnsupportedAlgorithm, OverflowError) as exc:
        msg = f"the jwk cannot be used: {str(exc)[:100] or type(exc).__name__}"
        raise UntrustedKey(msg) from None


def import_key(key: object) -> Key:
    """Our own of a key.

    Raises:
        ValueError: it is of another kind, or too short.
    """
    if isinstance(key, RSAPublicKey | RSAPrivateKey):
        if key.key_size < RSA_BITS:
            msg = f"an RSA key of {key.key_size} bits is too short; {RSA_BITS} are needed"
            raise ValueError(msg)
        return RSAKey.import_key(key)
    if isinstance(key, EllipticCurvePublicKey | EllipticCurvePrivateKey):
        if key.curve.name not in _CURVES:
            msg = f"an elliptic curve {key.curve.name} is not one that tokens are signed by"
            raise ValueError(msg)
        return ECKey.import_key(key)
    if isinstance(key, Ed25519PublicKey | Ed25519PrivateKey):
        return OKPKey.import_key(key)
    msg = "a key is RSA, elliptic curve or Ed25519"
    raise ValueError(msg)


def _key_of(certificate: x509.Certificate) -> Key:
    try:
        return import_key(certificate.public_key())
    except UnsupportedAlgorithm as exc:
        msg = f"the key of a certificate cannot be used: {exc}"
        raise ValueError(msg) from None


def shown(seconds: float) -> str:
    """A moment, for a message."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return str(seconds)[:40]


def _end(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def _is_valid(certificate: x509.Certificate, now: float) -> bool:
    return certificate.not_valid_before_utc.timestamp() <= now <= _end(certificate)


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether *issuer* may sign certificates and has signed this one, by a hash that nobody can forge."""
    if isinstance(certificate.signature_hash_algorithm, hashes.MD5 | hashes.SHA1):
        return False
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, InvalidSignature, ValueError, TypeError):
        return False
    return True


def _read_chain(chain: object) -> Sequence[x509.Certificate]:
    """The certificates of an ``x5c``: that of the key that signed first. Each has a name of its own.

    Raises:
        UntrustedKey: it is none.
    """
    msg = f"the token's x5c is no list of 1 to {CHAIN_LIMIT} certificates"
    if not isinstance(chain, list) or not 0 < len(chain) <= CHAIN_LIMIT:
        raise UntrustedKey(msg)
    try:
        found = [x509.load_der_x509_certificate(with_serial(base64.b64decode(text, validate=True))) for text in chain]
        names = Counter(certificate.subject for certificate in found)
    except (ValueError, TypeError, binascii.Error, x509.InvalidVersion):
        raise UntrustedKey(msg) from None
    name, count = names.most_common(1)[0]
    if count > 1:
        # Each would be tried as the issuer of each, in every order, and each try is a signature to check.
        msg = f"two certificates of the token's x5c have one name: {name.rfc4514_string()[:80]}"
        raise UntrustedKey(msg)
    return found


def _check_size(key: object) -> None:
    """See that a signature by this key is checked in no time.

    Raises:
        ValueError: it would take long.
    """
    if isinstance(key, RSAPublicKey):
        bits, exponent_bits = key.key_size, key.public_numbers().e.bit_length()
        if bits > _RSA_BITS_LIMIT or exponent_bits > _EXPONENT_BITS_LIMIT:
            msg = (
                f"a token may bring RSA keys of at most {_RSA_BITS_LIMIT} bits "
                f"and exponents of at most {_EXPONENT_BITS_LIMIT}; one has {bits} and {exponent_bits}"
            )
            raise ValueError(msg)
