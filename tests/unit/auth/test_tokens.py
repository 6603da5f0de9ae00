"""Tokens: what is signed is read again, and every part that is wrong is refused by its name."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jws

from moorage.auth.access import Access, Action
from moorage.auth.keys import TrustedKeys, import_key
from moorage.auth.protections import Protection
from moorage.auth.tokens import (
    ALGORITHMS,
    LEEWAY_S,
    TOKEN_LIMIT_BYTES,
    InvalidToken,
    SigningKey,
    Verified,
    Verifier,
    mint,
)
from moorage.config.sections.auth import SigningAlgorithm
from moorage.oci.names import RepositoryName
from support.tokens import ISSUER, SERVICE, claims, protecting, rsa_key, signed

KEY = SigningKey.of(rsa_key())
TRUSTED = TrustedKeys(keys={"gitlab": import_key(rsa_key().public_key())})
VERIFIER = Verifier(issuer=ISSUER, service=SERVICE)
APP = RepositoryName("group/app")


def verify(token: str, keys: TrustedKeys = TRUSTED, *, now: float | None = None) -> Verified:
    return VERIFIER.verify(token, keys, now=time.time() if now is None else now)


def why(token: str, keys: TrustedKeys = TRUSTED, *, now: float | None = None) -> str:
    """Why a token is refused."""
    with pytest.raises(InvalidToken) as caught:
        verify(token, keys, now=now)
    return str(caught.value)


def payload(**changed: Any) -> bytes:  # noqa: ANN401 - claims of any type, also wrong ones
    """The claims of a good token, but for *changed*; None takes one out."""
    whole = json.loads(claims(("group/app", "pull,push")).model_dump_json(exclude_none=True)) | changed
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (rsa_key(), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
def test_what_one_side_signs_the_other_side_reads(private: Any, algorithm: str) -> None:  # noqa: ANN401 - one of three kinds
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = SigningKey.read(pem)
    said = claims(("group/app", "pull,push"), ("registry:catalog", "*"))
    token = mint(said, key)
    header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    assert header == {"typ": "JWT", "alg": algorithm, "kid": key.id}
    found = verify(token, TrustedKeys(keys={"it": import_key(private.public_key())}))
    assert found.grant.actor == "ada"
    assert found.grant.actor_type == "gitlab_or_ldap"
    assert set(found.grant.accesses or ()) == {
        Access("repository", "group/app", Action.PULL),
        Access("repository", "group/app", Action.PUSH),
        Access("registry", "catalog", Action.ALL),
    }
    assert found.grant.projects == {"group/app": "group/app"}
    assert found.ends_at == said.exp + LEEWAY_S


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_an_rsa_key_signs_by_every_algorithm_of_its_kind(algorithm: str) -> None:
    assert verify(mint(claims(), SigningKey(KEY.key, algorithm)))


def test_the_algorithms_are_those_of_the_configuration() -> None:
    assert get_args(SigningAlgorithm) == ALGORITHMS


def test_an_algorithm_that_is_not_chosen_is_refused() -> None:
    verifier = Verifier(issuer=ISSUER, service=SERVICE, algorithms=["ES256"])
    with pytest.raises(InvalidToken, match=r"alg 'RS256' is not accepted"):
        verifier.verify(mint(claims(), KEY), TRUSTED, now=time.time())


def test_a_public_key_is_never_the_secret_of_a_signature() -> None:
    """CVE-2015-9235: HS256 with the public key as its secret."""
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    start = ".".join(segment(part) for part in (json.dumps({"alg": "HS256", "kid": KEY.id}).encode(), payload()))
    forged = f"{start}.{segment(hmac.digest(public, start.encode(), 'sha256'))}"
    assert why(forged) == "the token's alg 'HS256' is not accepted"


@pytest.mark.parametrize("alg", ["none", "None", "", "HS512", "RS1", 5, None, ["RS256"], {"a": "b"}])
def test_a_token_without_a_good_signature_is_refused_whatever_it_calls_it(alg: object) -> None:
    _, body, signature = mint(claims(), KEY).split(".")
    head = segment(json.dumps({"alg": alg, "kid": KEY.id}).encode())
    for end in (signature, ""):
        assert why(f"{head}.{body}.{end}").startswith("the token")


def test_a_curve_signs_by_its_own_algorithm_only() -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    key = SigningKey.of(private)
    head = segment(json.dumps({"alg": "ES256", "kid": key.id}).encode())
    _, body, signature = mint(claims(), key).split(".")
    keys = TrustedKeys(keys={"it": import_key(private.public_key())})
    assert why(f"{head}.{body}.{signature}", keys).startswith("the token")


@pytest.mark.parametrize("place", range(3))
def test_a_token_that_was_changed_anywhere_is_refused(place: int) -> None:
    parts = mint(claims(("group/app", "pull")), KEY).split(".")
    middle = len(parts[place]) // 2
    other = "A" if parts[place][middle] != "A" else "B"
    parts[place] = parts[place][:middle] + other + parts[place][middle + 1 :]
    assert why(".".join(parts)).startswith("the token")


def segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"iss": "somebody"}, "the token's iss is 'somebody', which is not the issuer that this registry trusts"),
    ({"iss": None}, "the token's claim iss is wrong: it is not there, and every token needs it"),
    ({"iss": [ISSUER]}, "the token's claim iss is wrong"),
    ({"iss": "x" * 5000}, "the token's iss is 'xxx"),
    ({"aud": "another"}, "the token's aud is 'another', this service is 'container_registry'"),
    ({"aud": ["a", "b"]}, "the token's aud is 'a, b', this service is"),
    ({"aud": []}, "the token's aud is '', this service is"),
    ({"aud": None}, "the token's claim aud"),
    ({"aud": 5}, "the token's claim aud is wrong: it has to be text, or a list of up to 10 texts"),
    ({"aud": [SERVICE, 5]}, "the token's claim aud is wrong: it has to be text, or a list of up to 10 texts"),
    ({"aud": [SERVICE] * 11}, "the token's claim aud is wrong: it has to be text, or a list of up to 10 texts"),
    ({"exp": None}, "the token's claim exp"),
    ({"exp": "2099"}, "the token's claim exp is wrong: it has to be a number of seconds since 1970"),
    ({"exp": True}, "the token's claim exp is wrong: it has to be a number of seconds since 1970"),
    ({"exp": 0}, "the token has expired: its exp is 1970-01-01T00:00:00Z, it is 20"),
    ({"exp": 10**400}, "the token's claim exp is wrong: it has to be a number of seconds since 1970"),
    ({"nbf": -(10**400)}, "the token's claim nbf is wrong: it has to be a number of seconds since 1970"),
    ({"exp": -1e300}, "the token has expired: its exp is -1e+300, it is 20"),
    ({"nbf": "1"}, "the token's claim nbf is wrong: it has to be a number of seconds since 1970"),
    ({"nbf": 2**40}, "the token is not valid yet: its nbf is 1099511627776, it is 20"),
    ({"nbf": 4102444800}, "the token is not valid yet: its nbf is 2100-01-01T00:00:00Z, it is 20"),
    ({"sub": 5}, "the token's claim sub is wrong: it has to be text"),
    ({"access": {}}, "the token's claim access"),
    ({"access": ["repository:a:pull"]}, "the token's claim access.0"),
    (
        {"access": [{"type": "repository", "actions": ["pull"]}]},
        "the token's claim access.0.name is wrong: it is not there, and every token needs it",
    ),
    ({"access": [{"type": "repository", "name": "a", "actions": "pull"}]}, "the token's claim access.0.actions"),
    ({"access": [{"type": "repository", "name": "a", "actions": [5]}]}, "the token's claim access.0.actions.0"),
    ({"access": [{"type": "repository", "name": "a", "actions": ["x"] * 21}]}, "the token's claim access.0.actions"),
    ({"access": [{"type": "repository", "name": "a", "meta": 5}]}, "the token's claim access.0.meta"),
    (
        {"access": [{"type": "repository", "name": "a", "meta": {"tag_immutable_patterns": "v"}}]},
        "the token's claim access.0.meta.tag_immutable_patterns",
    ),
    (
        {"access": [{"type": "repository", "name": "a", "meta": {"tag_deny_access_patterns": {"push": "v"}}}]},
        "the token's claim access.0.meta.tag_deny_access_patterns.push",
    ),
]


@pytest.mark.parametrize(("changed", "said"), CLAIMS)
def test_a_claim_that_is_wrong_is_named(changed: dict[str, Any], said: str) -> None:
    assert why(signed({}, payload(**changed), KEY)).startswith(said)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b"null", b"{", b"\xff", b"[" * 20000, b'{"iss": NaN}', b'{"a":' * 4000]
)
def test_claims_that_are_no_object_are_refused(body: bytes) -> None:
    assert why(signed({}, body, KEY)).startswith("the token's claim")


@pytest.mark.parametrize("exp", ["NaN", "Infinity", "1e999"])
def test_a_token_that_never_ends_is_refused(exp: str) -> None:
    body = payload()
    endless = body.replace(json.dumps(json.loads(body)["exp"]).encode(), exp.encode(), 1)
    assert why(signed({}, endless, KEY)).startswith("the token's claim")


def test_what_is_wrong_with_claims_is_told_only_of_tokens_that_are_signed() -> None:
    stranger = SigningKey.of(rsa_key("stranger"))
    for key in (stranger, SigningKey(stranger.key, "RS256")):
        assert why(signed({}, payload(iss="x", aud="y", exp=0), key)) == (
            f"the token is signed by an untrusted key with ID: {stranger.id}"
        )
    pretending = signed({"kid": KEY.id}, payload(iss="x"), stranger)
    assert why(pretending) == "the token's signature is not that of the key it names"


def test_a_clock_may_be_a_minute_off() -> None:
    now = int(time.time())
    exp, nbf = now + 100, now + 50
    token = signed({}, payload(exp=exp, nbf=nbf), KEY)
    assert verify(token, now=nbf - LEEWAY_S)
    assert why(token, now=nbf - LEEWAY_S - 1).startswith("the token is not valid yet")
    assert verify(token, now=exp + LEEWAY_S)
    assert why(token, now=exp + LEEWAY_S + 1).startswith("the token has expired")


@pytest.mark.parametrize("gone", ["nbf", "iat", "jti", "sub", "access", "auth_type"])
def test_a_claim_that_is_not_needed_may_be_missing_or_null(gone: str) -> None:
    assert verify(signed({}, payload(**{gone: None}), KEY))
    whole = json.loads(payload()) | {gone: None}
    assert verify(signed({}, json.dumps(whole).encode(), KEY))


def test_a_service_among_others_is_good_enough() -> None:
    assert verify(signed({}, payload(aud=["a", SERVICE]), KEY))


def test_a_token_that_is_too_long_is_refused_before_anything_else() -> None:
    assert why("a" * (TOKEN_LIMIT_BYTES + 1)) == f"the token is longer than {TOKEN_LIMIT_BYTES} bytes"


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "e30.e30.", "bnVsbA.e30.e30", "W10.e30.e30", "\x00"],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert why(text).startswith("the token")


def test_a_header_that_is_nested_deep_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jws, "deserialize_compact", lambda *_, **__: pytest.fail("it is read"))
    for encoding in ("utf-8", "utf-16"):
        head = segment(("[" * 1000).encode(encoding))
        assert why(f"{head}.e30.e30") == "the token is malformed"


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": "x"},
        {"crit": 5},
        {"kid": None},
        {"kid": ""},
        {"kid": 5},
        {"kid": ["a"]},
        {"kid": "AAAA:BBBB"},
        {"x5c": "text"},
        {"x5c": [5]},
        {"x5c": ["AAAA"]},
        {"x5c": ["!"]},
        {"x5c": {"a": "b"}},
        {"jwk": "text"},
        {"jwk": {}},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": {"kty": "RSA"}},
        {"jwk": {"kty": ["RSA"]}},
    ],
)
def test_a_header_that_leads_to_no_key_is_refused(header: Mapping[str, Any]) -> None:
    whole = {"alg": "RS256", "typ": "JWT", "kid": KEY.id, **header}
    head = segment(json.dumps({name: value for name, value in whole.items() if value is not None}).encode())
    _, body, signature = mint(claims(), KEY).split(".")
    assert why(f"{head}.{body}.{signature}").startswith("the ")


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["kid"]},
        {"crit": ["alg", "typ"]},
        {"crit": ["x5t"], "x5t": "AAAA"},
        {"crit": []},
        {"crit": ""},
        {"crit": ["b64"], "b64": True},
        {"b64": True},
        {"zip": "DEF"},
        {"enc": "A128GCM"},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": ["JWT"]},
        {"typ": ""},
    ],
)
def test_a_signed_token_that_asks_for_more_than_is_known_is_refused(header: Mapping[str, Any]) -> None:
    (name,) = {*header} & {"crit", "zip", "enc", "typ"} or {"b64"}
    assert why(signed(header, payload(), KEY)).startswith(f"the token's {'typ is' if name == 'typ' else 'header has'}")


@pytest.mark.parametrize(
    "header", [{"typ": None}, {"typ": "jwt"}, {"typ": "application/at+jwt"}, {"jku": "http://127.0.0.1/"}, {"x5u": 5}]
)
def test_what_means_nothing_here_is_no_reason_to_refuse(header: Mapping[str, Any]) -> None:
    assert verify(signed(header, payload(), KEY)).grant.actor == "ada"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"sub": "ada"', b'"sub": "ada", "sub": "eve"'),
        (b'"sub": "ada"', b'"sub": "ada", "s\\u0075b": "eve"'),
        (b'"sub": "ada"', b'"sub": "ada", "x": {"y": [{"z": 1, "z": 1}]}'),
        (b'"name": "group/app"', b'"name": "group/app", "name": "group/app"'),
    ],
)
def test_a_name_that_is_twice_in_the_claims_is_refused(before: bytes, after: bytes) -> None:
    changed = payload().replace(before, after)
    assert changed != payload()
    assert " twice in one object" in why(signed({}, changed, KEY))


def test_a_name_that_is_twice_in_the_header_is_refused() -> None:
    head = segment(f'{{"alg": "RS256", "typ": "JWT", "kid": "other", "kid": "{KEY.id}"}}'.encode())
    start = f"{head}.{segment(payload())}"
    signature = rsa_key().sign(start.encode(), PKCS1v15(), SHA256())
    assert why(f"{start}.{segment(signature)}") == "the token has 'kid' twice in one object"


def test_a_token_may_be_for_as_many_repositories_as_it_has_room_for() -> None:
    entries = [{"type": "repository", "name": f"group/app{number}", "actions": ["pull"]} for number in range(250)]
    token = signed({}, payload(access=entries), KEY)
    assert len(token) < TOKEN_LIMIT_BYTES
    assert len(verify(token).grant.accesses or ()) == 250


def test_who_it_is_without_a_user_stands_in_the_token_in_the_token() -> None:
    """GitLab features TKC-005 and TKC-010: its own expiry is not looked at."""

    def actor(info: object, sub: str | None = None) -> str:
        nested = signed({}, json.dumps({"user_info": info, "exp": 1}).encode(), KEY)
        return verify(signed({}, payload(sub=sub, user=nested), KEY)).grant.actor

    assert actor({"token_type": "build", "username": "project_1_bot"}) == "project_1_bot"
    assert actor({"token_type": "deploy_token", "username": None, "deploy_token_id": 7}) == "deploy_token 7"
    assert actor({"username": "other"}, sub="ada") == "ada"
    assert actor({}) == actor({"username": 5}) == actor(None) == actor([]) == ""
    for nonsense in ("", "a", "a.b.c", "..", "." * 200):
        assert verify(signed({}, payload(sub=None, user=nonsense), KEY)).grant.actor == ""


def test_patterns_of_a_repository_that_is_there_twice_all_count() -> None:
    """Whoever asks for one repository in two scopes must not get rid of the patterns of the first."""
    metas = [
        ("group/app", {"tag_deny_access_patterns": {"push": ["^v"]}}),
        ("group/app", {"tag_deny_access_patterns": {}}),
        ("group/app", {"tag_immutable_patterns": ["^v", "x"]}),
        ("other", {"tag_deny_access_patterns": {"push": [], "delete": None}}),
    ]
    entries = [{"type": "repository", "name": name, "actions": ["push"], "meta": meta} for name, meta in metas]
    grant = verify(signed({}, payload(access=entries), KEY)).grant
    assert grant.protection(APP) == Protection(deny_push=("^v",), immutable=("^v", "x"))
    assert set(grant.protections) == {"group/app"}


def test_unknown_types_and_actions_allow_nothing() -> None:
    entries = [
        {"type": "repository", "name": "a", "actions": ["admin", "PULL", ""]},
        {"type": "repository(plugin)", "name": "a", "actions": ["pull"]},
        {"type": "", "name": "a", "actions": ["*"]},
    ]
    assert verify(signed({}, payload(access=entries), KEY)).grant.accesses == frozenset()


def test_gitlab_says_which_tags_are_protected() -> None:
    meta = {"group/app": protecting(["^v"], ["^v", "^r"], ["^s"])}
    grant = verify(mint(claims(("group/app", "*"), meta=meta), KEY)).grant
    assert grant.protection(APP) == Protection(deny_push=("^v",), deny_delete=("^v", "^r"), immutable=("^s",))
    assert grant.protection(RepositoryName("group")) == Protection()
