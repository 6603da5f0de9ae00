"""Which keys are trusted: by their id, by a certificate, by a key that comes along; and for how long."""

import base64
import hashlib
import json
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.keys import (
    CHAIN_LIMIT,
    TrustedKeys,
    UntrustedKey,
    import_key,
    key_id,
    read_certificates,
    read_jwks,
)
from moorage.auth.tokens import SigningKey
from support.tokens import PrivateKey, certificate, pem, rsa_key
from unit.auth.version_1 import as_version_1

ROOT = rsa_key("root")
ROOT_CERTIFICATE = certificate(ROOT, name="root", ca=True)
CURVE = ec.generate_private_key(ec.SECP256R1())
LEAF = certificate(CURVE, name="leaf", signer=(ROOT, ROOT_CERTIFICATE))
MIDDLE = ec.generate_private_key(ec.SECP384R1())
MIDDLE_CERTIFICATE = certificate(MIDDLE, name="middle", signer=(ROOT, ROOT_CERTIFICATE), ca=True)
FAR_LEAF = certificate(CURVE, name="far", signer=(MIDDLE, MIDDLE_CERTIFICATE))
DAY = timedelta(days=1)


def chain(*certificates: x509.Certificate) -> list[str]:
    return [base64.b64encode(found.public_bytes(Encoding.DER)).decode() for found in certificates]


def unproven(exponent: int, bits: int) -> x509.Certificate:
    """A certificate by ROOT of an RSA key that nobody has the private half of."""
    public = rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) + 0x10001).public_key()
    key: Any = SimpleNamespace(public_key=lambda: public)
    return certificate(key, name="unproven", signer=(ROOT, ROOT_CERTIFICATE))


def jwk(key: PrivateKey, **more: object) -> dict[str, Any]:
    return {**import_key(key.public_key()).as_dict(private=False), **more}


def found(keys: TrustedKeys, **header: object) -> str:
    """The id of the key that a token with this header has to be signed by."""
    return key_id(keys.find(header, time.time()).key)


def why(keys: TrustedKeys, **header: object) -> str:
    with pytest.raises(UntrustedKey) as caught:
        keys.find(header, time.time())
    return str(caught.value)


def id_of(key: PrivateKey) -> str:
    return SigningKey.of(key).id


TRUSTING_ROOT = TrustedKeys([ROOT_CERTIFICATE])


def test_a_key_is_named_as_gitlab_names_it() -> None:
    """GitLab features TOK-004: the rule once more, by hand."""
    der = ROOT.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    groups = id_of(ROOT).split(":")
    assert [len(group) for group in groups] == [4] * 12
    bits = "".join(f"{byte:08b}" for byte in hashlib.sha256(der).digest())[:240]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    assert "".join(groups) == "".join(alphabet[int(bits[place : place + 5], 2)] for place in range(0, 240, 5))


def test_a_certificate_is_found_by_both_ids_of_its_key() -> None:
    for name in (id_of(ROOT), import_key(ROOT.public_key()).thumbprint()):
        assert found(TRUSTING_ROOT, kid=name) == id_of(ROOT)


def test_several_certificates_are_trusted_at_once() -> None:
    keys = TrustedKeys(read_certificates(pem(ROOT_CERTIFICATE, certificate(CURVE)) + b"junk\n" + pem(LEAF)))
    assert len(keys) == 2
    assert found(keys, kid=id_of(ROOT)) == id_of(ROOT)
    assert found(keys, kid=id_of(CURVE)) == id_of(CURVE)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({}, "does not say which key"),
        ({"kid": ""}, "does not say which key"),
        ({"kid": "ABCD"}, "the token is signed by an untrusted key with ID: ABCD"),
        ({"kid": "x" * 500}, f"the token is signed by an untrusted key with ID: {'x' * 80}"),
        ({"x5c": []}, "does not say which key"),
        ({"jwk": None}, "no public key"),
    ],
)
def test_an_unknown_key_is_refused_by_its_name(header: dict[str, Any], said: str) -> None:
    assert said in why(TRUSTING_ROOT, **header)


class TestChain:
    """``x5c``."""

    def test_a_certificate_that_leads_to_a_trusted_one_is_trusted(self) -> None:
        assert found(TRUSTING_ROOT, x5c=chain(LEAF)) == id_of(CURVE)
        assert found(TRUSTING_ROOT, x5c=chain(FAR_LEAF, MIDDLE_CERTIFICATE)) == id_of(CURVE)
        assert found(TRUSTING_ROOT, x5c=chain(LEAF, ROOT_CERTIFICATE)) == id_of(CURVE)

    def test_a_trusted_certificate_is_trusted_itself_whatever_it_may_sign(self) -> None:
        """GitLab's own certificate is signed by itself and no authority."""
        own = certificate(ROOT)
        assert found(TrustedKeys([own]), x5c=chain(own)) == id_of(ROOT)

    def test_the_chain_comes_before_the_other_headers(self) -> None:
        assert found(TRUSTING_ROOT, x5c=chain(LEAF), jwk=jwk(ROOT), kid=id_of(ROOT)) == id_of(CURVE)
        assert "does not lead" in why(TRUSTING_ROOT, x5c=chain(certificate(CURVE)), kid=id_of(ROOT))

    @pytest.mark.parametrize(
        "x5c",
        [
            chain(certificate(CURVE, name="root")),
            chain(FAR_LEAF),
            chain(certificate(CURVE, signer=(MIDDLE, ROOT_CERTIFICATE))),
            chain(certificate(MIDDLE, signer=(CURVE, LEAF)), LEAF),
            chain(certificate(CURVE, signer=(ROOT, ROOT_CERTIFICATE), ends=-DAY / 2)),
            chain(certificate(CURVE, signer=(ROOT, ROOT_CERTIFICATE), begins=DAY)),
        ],
        ids=["self-signed", "middle is missing", "wrong signature", "leaf as authority", "expired", "not yet"],
    )
    def test_what_does_not_lead_there_is_refused(self, x5c: list[str]) -> None:
        assert "does not lead to a trusted one" in why(TRUSTING_ROOT, x5c=x5c)

    def test_a_leaf_of_version_1_is_taken_as_far_as_one_can_be_checked(self) -> None:
        """OpenSSL made such for a long time, and other registries take them."""
        old = as_version_1(LEAF, ROOT)
        assert old.version is x509.Version.v1
        assert found(TRUSTING_ROOT, x5c=chain(old)) == id_of(CURVE)
        far = as_version_1(FAR_LEAF, MIDDLE)
        assert found(TRUSTING_ROOT, x5c=chain(far, MIDDLE_CERTIFICATE)) == id_of(CURVE)
        assert found(TrustedKeys([old]), x5c=chain(old)) == id_of(CURVE)

    def test_a_leaf_of_version_1_that_leads_nowhere_is_refused(self) -> None:
        stranger = as_version_1(LEAF, MIDDLE)
        alone = as_version_1(FAR_LEAF, MIDDLE)
        expired = as_version_1(certificate(CURVE, signer=(ROOT, ROOT_CERTIFICATE), ends=-DAY / 2), ROOT)
        below_leaf = as_version_1(certificate(MIDDLE, signer=(CURVE, LEAF)), CURVE)
        for x5c in (chain(stranger), chain(alone), chain(expired), chain(below_leaf, LEAF)):
            assert "does not lead to a trusted one: it is of version 1" in why(TRUSTING_ROOT, x5c=x5c)

    def test_a_leaf_of_version_1_below_what_is_said_to_be_no_authority_is_refused(self) -> None:
        own = ec.generate_private_key(ec.SECP256R1())
        said = certificate(own, name="no authority", signer=(ROOT, ROOT_CERTIFICATE), ca=False)
        leaf = as_version_1(certificate(CURVE, name="leaf", signer=(own, said)), own)
        assert "does not lead to a trusted one" in why(TRUSTING_ROOT, x5c=chain(leaf, said))

    def test_a_leaf_of_version_1_that_is_signed_by_a_hash_that_can_be_forged_is_refused(self) -> None:
        root = rsa_key("of old")
        trusted = certificate(root, name="of old", ca=True)
        leaf = certificate(CURVE, name="leaf", signer=(root, trusted))
        assert found(TrustedKeys([trusted]), x5c=chain(as_version_1(leaf, root))) == id_of(CURVE)
        forged = as_version_1(leaf, root, by_sha1=True)
        assert isinstance(forged.signature_hash_algorithm, hashes.SHA1)
        assert "does not lead to a trusted one" in why(TrustedKeys([trusted]), x5c=chain(forged))

    def test_a_long_way_is_refused(self) -> None:
        key: PrivateKey = ROOT
        last, way = ROOT_CERTIFICATE, list[x509.Certificate]()
        for number in range(CHAIN_LIMIT + 1):
            own = ec.generate_private_key(ec.SECP256R1())
            last = certificate(own, name=str(number), signer=(key, last), ca=True)
            key, way = own, [last, *way]
        assert "no list of 1 to 5" in why(TRUSTING_ROOT, x5c=chain(*way))
        assert TRUSTING_ROOT.find({"x5c": chain(*way[1:])}, time.time())

    def test_two_of_one_name_are_refused_as_they_would_be_tried_in_every_order(self) -> None:
        own = ec.generate_private_key(ec.SECP384R1())
        same = [certificate(own, name="same", ca=True) for _ in range(2)]
        leaf = certificate(CURVE, name="leaf", signer=(own, same[0]))
        assert "two certificates of the token's x5c have one name: CN=same" in why(
            TRUSTING_ROOT, x5c=chain(leaf, *same)
        )
        assert "have one name" in why(TRUSTING_ROOT, jwk=jwk(CURVE, x5c=chain(leaf, *same)))
        assert "have one name" in why(TRUSTING_ROOT, x5c=chain(LEAF, LEAF))

    def test_one_that_issued_itself_is_not_followed_for_ever(self) -> None:
        own = ec.generate_private_key(ec.SECP384R1())
        loop = certificate(own, name="loop", ca=True)
        leaf = certificate(CURVE, name="leaf", signer=(own, loop))
        assert "does not lead to a trusted one" in why(TRUSTING_ROOT, x5c=chain(leaf, loop))

    @pytest.mark.parametrize(
        ("exponent", "bits", "said"),
        [
            ((1 << 3070) + 1, 3072, "3072 and 3071"),
            ((1 << 32) + 1, 2048, "2048 and 33"),
            (65537, 4097, "4097 and 17"),
            (65537, 8192, "8192 and 17"),
        ],
        ids=["exponent", "exponent just too long", "modulus just too long", "modulus"],
    )
    @pytest.mark.parametrize("is_first", [True, False], ids=["first", "behind it"])
    def test_a_key_that_takes_long_is_refused_before_any_signature_is_checked(
        self, exponent: int, bits: int, said: str, *, is_first: bool
    ) -> None:
        slow = unproven(exponent, bits)
        x5c = chain(slow, ROOT_CERTIFICATE) if is_first else chain(LEAF, slow)
        refused = why(TRUSTING_ROOT, x5c=x5c)
        assert refused.endswith(f"RSA keys of at most 4096 bits and exponents of at most 32; one has {said}")

    def test_a_key_that_is_trusted_itself_may_take_longer(self) -> None:
        """Whoever wrote the bundle knows what is in it."""
        own = unproven(65537, 8192)
        assert found(TrustedKeys([own]), x5c=chain(own)) == key_id(import_key(own.public_key()))

    def test_keys_as_gitlab_makes_them_are_taken(self) -> None:
        own = unproven(65537, 4096)
        assert found(TRUSTING_ROOT, x5c=chain(own)) == key_id(import_key(own.public_key()))

    @pytest.mark.parametrize("x5c", ["text", [5], ["!"], ["AAAA"], [""], {"a": 1}, chain(LEAF) * (CHAIN_LIMIT + 1)])
    def test_what_is_no_chain_is_refused(self, x5c: object) -> None:
        assert "no list of 1 to" in why(TRUSTING_ROOT, x5c=x5c)

    def test_a_short_key_is_refused_whoever_signed_for_it(self) -> None:
        short = certificate(rsa_key("short", 1024), signer=(ROOT, ROOT_CERTIFICATE))
        assert "1024 bits is too short" in why(TRUSTING_ROOT, x5c=chain(short))

    def test_without_certificates_no_chain_is_trusted(self) -> None:
        assert "trusts no certificates" in why(TrustedKeys(keys={"a": import_key(ROOT.public_key())}), x5c=chain(LEAF))

    def test_it_ends_with_the_first_certificate_that_ends(self) -> None:
        brief = certificate(MIDDLE, name="middle", signer=(ROOT, ROOT_CERTIFICATE), ca=True, ends=DAY)
        trusted = TRUSTING_ROOT.find({"x5c": chain(FAR_LEAF, brief)}, time.time())
        assert trusted.ends_at == brief.not_valid_after_utc.timestamp()


class TestJWK:
    """``jwk``."""

    def test_a_trusted_key_may_come_along(self) -> None:
        assert found(TRUSTING_ROOT, jwk=jwk(ROOT)) == id_of(ROOT)

    def test_another_key_is_not_trusted_by_the_id_it_claims(self) -> None:
        assert "not trusted and has no x5c" in why(TRUSTING_ROOT, jwk=jwk(CURVE, kid=id_of(ROOT)))
        assert "not trusted" in why(TRUSTING_ROOT, jwk=jwk(CURVE), kid=id_of(ROOT))

    def test_a_key_with_a_chain_has_to_be_the_chains(self) -> None:
        assert found(TRUSTING_ROOT, jwk=jwk(CURVE, x5c=chain(LEAF))) == id_of(CURVE)
        other = ec.generate_private_key(ec.SECP256R1())
        assert "not the key of the certificate" in why(TRUSTING_ROOT, jwk=jwk(other, x5c=chain(LEAF)))
        assert "does not lead" in why(TRUSTING_ROOT, jwk=jwk(CURVE, x5c=chain(certificate(CURVE))))
        assert "no list" in why(TRUSTING_ROOT, jwk=jwk(ROOT, x5c=[]))

    @pytest.mark.parametrize(
        "value",
        [
            5,
            [],
            {},
            {"kty": "oct", "k": "AAAA"},
            {"kty": "RSA"},
            {"kty": "EC", "crv": "P-0", "x": "AA", "y": "AA"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "n": 1, "e": 2},
            {"kty": ["RSA"]},
            {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
            {"kty": "RSA", "n": "é", "e": "AQAB"},
        ],
    )
    def test_what_is_no_key_is_refused(self, value: object) -> None:
        assert "the jwk" in why(TRUSTING_ROOT, jwk=value)


class TestCertificatesInTime:
    """A certificate that has ended takes its key along, also where the key is only named."""

    def test_a_key_is_refused_before_and_after(self) -> None:
        ended = certificate(ROOT, begins=-2 * DAY, ends=-DAY)
        assert "certificate of the key that signed the token has expired" in why(TrustedKeys([ended]), kid=id_of(ROOT))
        later = certificate(ROOT, begins=DAY)
        assert "is not valid before" in why(TrustedKeys([later]), jwk=jwk(ROOT))

    @pytest.mark.parametrize("is_first", [True, False])
    def test_a_renewed_certificate_counts_beside_the_old_one(self, *, is_first: bool) -> None:
        old, new = certificate(ROOT, begins=-2 * DAY, ends=-DAY), certificate(ROOT)
        assert found(TrustedKeys([new, old] if is_first else [old, new]), kid=id_of(ROOT)) == id_of(ROOT)

    def test_what_has_ended_is_told(self) -> None:
        soon, late = certificate(ROOT, ends=DAY), certificate(CURVE)
        keys = TrustedKeys([soon, late])
        assert keys.expired(time.time()) == []
        assert keys.expired(time.time() + 2 * 86400) == [soon]


class TestFiles:
    @pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN PUBLIC KEY-----\n", pem(LEAF)[:200]])
    def test_a_bundle_without_a_certificate_is_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            read_certificates(content)

    def test_a_certificate_whose_key_nobody_should_trust_is_refused(self) -> None:
        with pytest.raises(ValueError, match="1024 bits is too short"):
            TrustedKeys([certificate(rsa_key("short", 1024))])
        for private in (x25519.X25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()):
            with pytest.raises(ValueError, match="RSA, elliptic curve or Ed25519"):
                import_key(private.public_key())

    def test_a_key_set_is_trusted_by_its_own_ids_too(self) -> None:
        edwards = ed25519.Ed25519PrivateKey.generate()
        content = json.dumps({"keys": [jwk(ROOT, kid="mine", use="sig", alg="RS256"), jwk(edwards)]}).encode()
        keys = TrustedKeys(keys=read_jwks(content))
        for name in ("mine", id_of(ROOT)):
            assert found(keys, kid=name) == id_of(ROOT)
        assert found(keys, kid=import_key(edwards.public_key()).thumbprint()) == id_of(edwards)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b"{}",
            b'{"keys": []}',
            b'{"keys": {}}',
            b'{"keys": [{"kty": "oct", "k": "AAAA"}]}',
            b'{"keys": [5]}',
            b"[" * 100000,
            b"\xff",
        ],
    )
    def test_what_is_no_key_set_is_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            read_jwks(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["kty", "n", "e", "crv", "x", "y", "x5c", "kid", "use", "d"])
WORDS = st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "AA", *chain(LEAF)])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "kid": JSON | WORDS,
        "x5c": JSON | st.lists(WORDS | JSON, max_size=4),
        "jwk": JSON | st.dictionaries(NAMES, WORDS | JSON | st.lists(WORDS, max_size=2), max_size=6),
    },
)


@given(header=HEADERS)
def test_any_header_leads_to_a_trusted_key_or_is_refused(header: dict[str, Any]) -> None:
    try:
        assert found(TRUSTING_ROOT, **header) in (id_of(ROOT), id_of(CURVE))
    except UntrustedKey as exc:
        assert str(exc)


def test_a_certificate_of_a_version_that_there_is_not_is_refused() -> None:
    der = LEAF.public_bytes(Encoding.DER)
    version_3, version_6 = bytes.fromhex("a003020102"), bytes.fromhex("a003020105")
    changed = der.replace(version_3, version_6, 1)
    assert changed != der
    with pytest.raises(UntrustedKey, match="no list of 1 to"):
        TRUSTING_ROOT.find({"x5c": [base64.b64encode(changed).decode()]}, time.time())


@given(
    at=st.integers(0, len(LEAF.public_bytes(Encoding.DER)) - 1),
    byte=st.integers(0, 255),
    length=st.integers(0, 3),
)
def test_a_certificate_that_was_changed_anywhere_is_refused(at: int, byte: int, length: int) -> None:
    der = LEAF.public_bytes(Encoding.DER)
    changed = der[:at] + bytes([byte]) + der[at + length :]
    try:
        trusted = TRUSTING_ROOT.find({"x5c": [base64.b64encode(changed).decode()]}, time.time())
    except UntrustedKey:
        return
    assert changed == der
    assert key_id(trusted.key) == id_of(CURVE)
