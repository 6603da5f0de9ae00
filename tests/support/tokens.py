"""An issuer of tokens, such as GitLab is one: its key and certificate, and tokens that are right unless said."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jws

from moorage.auth.bearer import Realm, TokenGuard
from moorage.auth.claims import AccessClaim, Claims, Meta, TagPatterns
from moorage.auth.issuer import IssuerKeys, watch_bundle
from moorage.auth.tokens import ALGORITHMS, SigningKey, Verifier, _Registry, mint

REALM = "https://gitlab.example/jwt/auth"
SERVICE = "container_registry"
ISSUER = "gitlab-issuer"

Access = tuple[str, str]
"""``("group/app", "pull,push")``; ``("registry:catalog", "*")`` for something else than a repository."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a guard sees of a request."""

    headers: Mapping[str, str]
    address: str = "192.0.2.1"
    id: str = "request"


def rsa_key(name: str = "gitlab", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same key for the same name, as making one takes long."""
    return _rsa_key(name, bits)


@cache
def _rsa_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    del name
    return rsa.generate_private_key(65537, bits)


def certificate(
    key: PrivateKey,
    *,
    name: str = "gitlab",
    signer: tuple[PrivateKey, x509.Certificate] | None = None,
    ca: bool | None = None,
    begins: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=3650),
) -> x509.Certificate:
    """A certificate of *key*, signed by itself unless there is a *signer*."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(subject if signer is None else signer[1].subject)
    now = datetime.now(UTC)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + begins).not_valid_after(now + ends)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    signing = key if signer is None else signer[0]
    return builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(found.public_bytes(Encoding.PEM) for found in certificates)


def claims(
    *access: Access,
    meta: Mapping[str, Meta | None] | None = None,
    lifetime_s: float = 300,
    **changed: Any,  # noqa: ANN401 - claims of any type
) -> Claims:
    """What GitLab says in a token. Source: GitLab features TKC-001 to TKC-010."""
    now = int(time.time())
    entries = []
    for name, actions in access:
        kind, colon, rest = name.partition(":")
        kind, name = (kind, rest) if colon else ("repository", name)  # noqa: PLW2901 - split in two
        entries.append(
            AccessClaim(
                type=kind, name=name, actions=actions.split(","), meta=(meta or {}).get(name, _meta(name, kind))
            )
        )
    usual: dict[str, Any] = {
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": "ada",
        "exp": now + int(lifetime_s),
        "nbf": now - 5,
        "iat": now,
        "jti": "8c1f3f52-8c5c-4ee0-a7e0-6b6d8f0f7a77",
        "auth_type": "gitlab_or_ldap",
        "access": entries,
    }
    return Claims(**{**usual, **changed})


def _meta(name: str, kind: str) -> Meta | None:
    return Meta(project_path=name, project_id=12, root_namespace_id=3) if kind == "repository" else None


def protecting(push: Sequence[str] = (), delete: Sequence[str] = (), immutable: Sequence[str] = ()) -> Meta:
    """What GitLab says of a repository with protected tags."""
    patterns = TagPatterns(push=list(push), delete=list(delete))
    return Meta(project_path="group/app", tag_deny_access_patterns=patterns, tag_immutable_patterns=list(immutable))


class Issuer:
    """Signs tokens by one key."""

    def __init__(self, folder: Path, *, key: PrivateKey | None = None) -> None:
        self.key = key or rsa_key()
        self.certificate = certificate(self.key)
        self.bundle = folder / "issuer.pem"
        self.bundle.write_bytes(pem(self.certificate))
        self.signing = SigningKey.of(self.key)

    def token(self, *access: Access, **said: Any) -> str:  # noqa: ANN401 - as of `claims`
        return mint(claims(*access, **said), self.signing)

    def bearer(self, *access: Access, **said: Any) -> dict[str, str]:  # noqa: ANN401 - as of `claims`
        """The header of a request."""
        return {"Authorization": f"Bearer {self.token(*access, **said)}"}

    def guard(self, **realm: str) -> TokenGuard:
        keys = IssuerKeys(watch_bundle(self.bundle), None)
        return TokenGuard(Verifier(issuer=ISSUER, service=SERVICE), keys, Realm(url=REALM, **realm))

    @property
    def section(self) -> str:
        """The ``auth`` section of a configuration."""
        names = f"realm: '{REALM}', service: {SERVICE}, issuer: {ISSUER}"
        return f"auth: {{token: {{{names}, rootcertbundle: '{self.bundle}'}}}}"


class _Anything(_Registry):
    """Signs whatever a header says."""

    def check_header(self, header: dict[str, Any]) -> None:
        del header


def signed(header: Mapping[str, Any], payload: bytes, key: SigningKey) -> str:
    """A token with any header and payload, whatever they say, signed as it should be."""
    whole = {"alg": key.algorithm, "kid": key.id, "typ": "JWT", **header}
    sent = {name: value for name, value in whole.items() if value is not None}
    return jws.serialize_compact(sent, payload, key.key, registry=_Anything(ALGORITHMS))
