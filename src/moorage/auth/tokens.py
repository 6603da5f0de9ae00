"""Tokens, signed and verified side by side: what one side writes the other side reads.

Source: Docker token authentication specification; GitLab features TOK-001 to TOK-012; ADR 0019.
"""

import base64
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, Self, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64decode
from pydantic import ValidationError

from moorage.auth.access import NOBODY, NOTHING, Access, Action, Grant, Payer
from moorage.auth.claims import AUDIENCES_LIMIT, DENIED_LIMIT, Claims, Meta, UserToken
from moorage.auth.keys import Key, TrustedKey, TrustedKeys, UntrustedKey, import_key, key_id, shown
from moorage.auth.protections import Protection
from moorage.json_nesting import json_text, see_nesting

LEEWAY_S = 60
"""Seconds that the issuer's clock may differ from ours. Source: GitLab features TOK-005."""

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""All are of key pairs: a secret that is shared would let the registry sign what it should only verify."""

TOKEN_LIMIT_BYTES = 32 << 10
"""It bounds everything that is in a token, so that nothing in it is counted."""

_TYPES = frozenset({"jwt", "at+jwt"})
"""Other ``typ`` are of tokens for something else, by the same issuer. Source: RFC 8725 § 3.11."""

_GRANT_BYTES = 1000
"""Memory that a grant takes besides what its token says: sets, maps and the entry by which it is remembered."""

_ACTIONS = {action.value: action for action in Action}
_NUMBERS = 1 << 63
_LAST_S = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
"""The last moment that a date has room for, in all zones."""
"""Source: GitLab's registry, ``registry/auth/token/types.go``."""


class InvalidToken(Exception):
    """A token that cannot be accepted; the text says why and is safe to show."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that tokens are signed with."""

    key: Key
    """With its private half."""
    algorithm: str
    chain: Sequence[x509.Certificate] = ()
    """Sent along as ``x5c``, the key's own certificate first; empty: the key is only named, by ``kid``."""

    @classmethod
    def read(cls, pem: bytes, *, chain: Sequence[x509.Certificate] = ()) -> Self:
        """Read a private key in PEM, without a password.

        Raises:
            ValueError: it is none, or of a kind that is not trusted.
        """
        try:
            return cls.of(load_pem_private_key(pem, None), chain=chain)
        except (TypeError, UnsupportedAlgorithm) as exc:  # It is locked, or of a kind that is not known here.
            raise ValueError(str(exc)) from None

    @classmethod
    def of(cls, private: object, *, chain: Sequence[x509.Certificate] = ()) -> Self:
        """Sign with a private key of the ``cryptography`` package.

        Raises:
            ValueError: it is of a kind that is not trusted.
        """
        key = import_key(private)
        curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
        algorithm = "RS256" if isinstance(key, RSAKey) else curves.get(key.curve_name)
        if algorithm is None or not key.is_private:
            msg = "a private key is needed: RSA, P-256, P-384, P-521 or Ed25519"
            raise ValueError(msg)
        return cls(key, algorithm, chain)

    @property
    def id(self) -> str:
        """The key's fingerprint, as ``kid`` has it."""
        return key_id(self.key)


def mint(claims: Claims | UserToken, key: SigningKey) -> str:
    """A token that says *claims*."""
    header: dict[str, Any] = {"typ": "JWT", "alg": key.algorithm, "kid": key.id}
    if key.chain:
        header["x5c"] = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode() for certificate in key.chain]
    return jws.serialize_compact(header, claims.model_dump_json(exclude_none=True), key.key, registry=_REGISTRY)


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was found good."""

    grant: Grant
    keys: TrustedKeys
    """Those that it was verified by."""
    ends_at: float
    """Until when, in seconds since 1970; the leeway is in it."""
    begins_at: float = -math.inf
    """From when, in the same way."""
    size_bytes: int = 0
    """Memory that it takes, about."""


class Verifier:
    """Tells good tokens from others."""

    def __init__(self, *, issuer: str, service: str, algorithms: Collection[str] = ALGORITHMS) -> None:
        self.issuer = issuer
        self.service = service
        self._registry = _Registry(algorithms)

    def verify(self, token: str, keys: TrustedKeys, *, now: float) -> Verified:
        """Check a token's signature, then its claims, at *now* (seconds since 1970).

        Raises:
            InvalidToken: something is wrong with it; only of a token whose signature is good claims are told.
        """
        key, payload = self._open(token, keys, now)
        try:
            claims = Claims.model_validate_json(payload)
        except ValidationError as exc:
            raise InvalidToken(_malformed(exc)) from None
        _check_unique(payload)
        self._check(claims, now)
        ends_at = min(float(claims.exp) + LEEWAY_S, key.ends_at)
        begins_at = max(-math.inf if claims.nbf is None else float(claims.nbf) - LEEWAY_S, key.begins_at)
        return Verified(grant_of(claims), keys, ends_at, begins_at, _GRANT_BYTES + 2 * len(payload))

    def _open(self, token: str, keys: TrustedKeys, now: float) -> tuple[TrustedKey, bytes]:
        """The key that the token is signed by, and what is signed.

        Raises:
            InvalidToken: nothing that can be trusted is.
        """
        found: list[TrustedKey] = []

        def find(signature: Any) -> Key:  # noqa: ANN401 - one of joserfc's kinds
            found.append(keys.find(signature.headers(), now))
            return found[0].key

        if len(token) > TOKEN_LIMIT_BYTES:
            msg = f"the token is longer than {TOKEN_LIMIT_BYTES} bytes"
            raise InvalidToken(msg)
        try:
            see_nesting(json_text(urlsafe_b64decode(token.partition(".")[0].encode())))
            signature = jws.deserialize_compact(token, find, registry=self._registry)
            _check_header_unique(signature.segments["header"])
        except BadSignatureError:
            msg = "the token's signature is not that of the key it names"
            raise InvalidToken(msg) from None
        except UntrustedKey as exc:
            raise InvalidToken(str(exc)) from None
        except JoseError as exc:
            msg = f"the token is malformed: {exc.description or exc.error}"
            raise InvalidToken(msg) from None
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            msg = "the token is malformed"
            raise InvalidToken(msg) from None
        return found[0], signature.payload

    def _check(self, claims: Claims, now: float) -> None:
        if claims.iss != self.issuer:
            msg = f"the token's iss is {claims.iss[:80]!r}, which is not the issuer that this registry trusts"
            raise InvalidToken(msg)
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self.service not in audiences:
            msg = f"the token's aud is {', '.join(audiences)[:80]!r}, this service is {self.service!r}"
            raise InvalidToken(msg)
        if now > claims.exp + LEEWAY_S:
            msg = f"the token has expired: its exp is {shown(claims.exp)}, it is {shown(now)} now"
            raise InvalidToken(msg)
        if claims.nbf is not None and now < claims.nbf - LEEWAY_S:
            msg = f"the token is not valid yet: its nbf is {shown(claims.nbf)}, it is {shown(now)} now"
            raise InvalidToken(msg)


def grant_of(claims: Claims) -> Grant:
    """Return what a token's claims allow and forbid. What is not known here, such as other actions, allows nothing."""
    accesses: set[Access] = set()
    projects: dict[str, str] = {}
    payers: dict[str, Payer] = {}
    protections: dict[str, Protection] = {}
    pasts: dict[str, datetime] = {}
    for entry in claims.access or ():
        if entry.type not in ("repository", "registry"):
            continue
        kind = cast('Literal["repository", "registry"]', entry.type)
        for name in entry.actions or ():
            action = _ACTIONS.get(name)
            if action is not None:
                accesses.add(Access(kind, entry.name, action))
        if kind == "repository" and entry.meta is not None:
            if entry.meta.project_path:
                projects.setdefault(entry.name, entry.meta.project_path)
            payer = Payer(_number(entry.meta.root_namespace_id), _number(entry.meta.project_id))
            if payer != NOBODY:
                payers.setdefault(entry.name, payer)
            found = _protection(entry.meta)
            if found is not None:
                # Not the last one alone: a client that asks for the same repository twice would get rid of the first.
                known = protections.get(entry.name)
                protections[entry.name] = found if known is None else known.joined(found)
            begins_s = _number(entry.meta.history_since)
            if begins_s:
                begins = datetime.fromtimestamp(min(begins_s, _LAST_S), UTC)
                pasts[entry.name] = max(begins, pasts.get(entry.name, begins))
    return Grant(
        actor=claims.sub or _user(claims.user),
        accesses=frozenset(accesses),
        actor_type=claims.auth_type or "",
        projects=projects or NOTHING,
        payers=payers or NOTHING,
        protections=protections or NOTHING,
        pasts=pasts or NOTHING,
        user_token=claims.user or "",
        denied=(claims.denied or "")[:DENIED_LIMIT],
    )


def _number(given: int | None) -> int:
    return given if given is not None and 0 < given < _NUMBERS else 0


def _user(token: str | None) -> str:
    """Return the user, by the token in the token. It came in one that was verified, so it is believed as it is."""
    if not token or token.count(".") != 2:  # noqa: PLR2004 - header, claims, signature
        return ""
    try:
        payload = jws.extract_compact(token.encode(), registry=_REGISTRY).payload
        info = UserToken.model_validate_json(payload).user_info
    except (JoseError, ValueError, TypeError, RecursionError):
        return ""
    if info.username:
        return info.username
    return f"{info.token_type or 'deploy_token'} {info.deploy_token_id}" if info.deploy_token_id else ""


class _Registry(jws.JWSRegistry):
    """joserfc's rules with ours: keys come with the token, and an algorithm is on the list or it is not."""

    max_header_length = TOKEN_LIMIT_BYTES
    max_payload_length = TOKEN_LIMIT_BYTES

    def __init__(self, algorithms: Collection[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)
        self._known = algorithms

    def check_header(self, header: dict[str, Any]) -> None:
        """See that it asks for nothing that is not done here; the rest is looked at where it is used.

        Source: RFC 7515 § 4.1.11: ``crit`` names extensions, and there are none here; RFC 7797 § 6: ``b64`` has to be
        among them; RFC 7516 § 4.1.3: ``zip`` is of encrypted tokens.

        Raises:
            InvalidToken: it does.
        """
        for name in ("crit", "b64", "zip", "enc"):
            if name in header:
                msg = f"the token's header has {name}, and no extension is known here"
                raise InvalidToken(msg)
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
            msg = f"the token's typ is {str(kind)[:20]!r}; JWT is accepted"
            raise InvalidToken(msg)

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - as joserfc has it
        if not isinstance(name, str) or name not in self._known:
            msg = f"the token's alg {str(name)[:20]!r} is not accepted"
            raise InvalidToken(msg)
        return self.algorithms[name]


_REGISTRY = _Registry(ALGORITHMS)


def _check_unique(text: bytes) -> None:
    """See that each name is there once: of two, others may believe the other one.

    Source: RFC 7515 § 4; RFC 7519 § 4.

    Raises:
        InvalidToken: one is there twice.
    """
    try:
        _NAMES_ONCE.decode(text.decode())
    except (ValueError, RecursionError):  # It was read before; what is deeper than this one goes was not looked at.
        msg = "the token is nested too deeply"
        raise InvalidToken(msg) from None


@lru_cache(maxsize=16)  # An issuer's tokens have the same header; it comes from those whose signature is good only.
def _check_header_unique(segment: bytes) -> None:
    _check_unique(urlsafe_b64decode(segment))


def _object_once(pairs: list[tuple[str, Any]]) -> None:
    """Nothing is kept, as only the names count."""
    if len(dict(pairs)) == len(pairs):
        return
    names = set[str]()
    for name, _ in pairs:
        if name in names:
            msg = f"the token has {name[:40]!r} twice in one object"
            raise InvalidToken(msg)
        names.add(name)


_NAMES_ONCE = json.JSONDecoder(object_pairs_hook=_object_once)


def _protection(meta: Meta) -> Protection | None:
    denied, immutable = meta.tag_deny_access_patterns, meta.tag_immutable_patterns or ()
    push, delete = ((), ()) if denied is None else (denied.push or (), denied.delete or ())
    if not (push or delete or immutable):
        return None
    return _one_protection(tuple(push), tuple(delete), tuple(immutable))


@lru_cache(maxsize=256)
def _one_protection(push: tuple[str, ...], delete: tuple[str, ...], immutable: tuple[str, ...]) -> Protection:
    """All tokens of a project say the same, and so share it."""
    return Protection(deny_push=push, deny_delete=delete, immutable=immutable)


_KINDS = {
    "missing": "it is not there, and every token needs it",
    "string_type": "it has to be text",
    "int_type": "it has to be a whole number",
    "list_type": "it has to be a list",
    "too_long": "it has too many items",
    "model_type": "it has to be a JSON object",
    "model_attributes_type": "it has to be a JSON object",
}
"""Words for what is wrong with a claim, by pydantic's kinds of errors."""
_ALTERNATIVES = {
    "aud": f"it has to be text, or a list of up to {AUDIENCES_LIMIT} texts",
    **dict.fromkeys(("exp", "nbf", "iat"), "it has to be a number of seconds since 1970"),
}
"""Claims of more than one type, whose places pydantic ends in names of its own."""


def _malformed(exc: ValidationError) -> str:
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    place = first["loc"]
    if not place:
        return "the token's claims are no JSON object"
    wrong = _KINDS.get(first["type"])
    if first["type"] != "missing" and place[0] in _ALTERNATIVES:
        place, wrong = place[:1], _ALTERNATIVES[str(place[0])]
    where = ".".join(str(part) for part in place)
    return f"the token's claim {where} is wrong: {wrong or first['msg']}"
