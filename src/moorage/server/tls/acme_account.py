"""The account with an authority that speaks ACME, and the one kind of check that is answered."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from acme import challenges, client, messages
from acme import errors as acme_errors
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.jwa import ES256, ES384, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA

from moorage import __version__
from moorage.atomic_writes import write_whole

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

_REQUEST_TIMEOUT_S = 30
_NONCE_TRIES = 5
"""Of two requests each."""


class NotIssued(Exception):
    """The authority wants something that we do not have, or offers nothing that we can do."""


@challenges.ChallengeResponse.register
class TLSALPN01Response(challenges.KeyAuthorizationChallengeResponse):
    """That the check may come."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TLSALPN01(challenges.KeyAuthorizationChallenge):
    """A check over TLS on port 443, which the library no longer has. Source: RFC 8737."""

    response_cls = TLSALPN01Response
    typ = response_cls.typ

    def validation(self, account_key: JWK, **_: Any) -> str:  # noqa: ANN401 - the signature is the library's
        """The key authorization, whose digest has to be shown."""
        return self.key_authorization(account_key)


@dataclass(frozen=True, slots=True)
class Account:
    """Account that orders certificates."""

    client: client.ClientV2
    key: JWK


def open_account(key_path: Path, directory_url: str, email: str) -> Account:
    """Sign on to the authority; the key is made the first time, and the account if the authority does not know it.

    The terms of service are agreed to, as in Distribution: to have named hosts is to want certificates.

    Raises:
        NotIssued: the key cannot be used, or the authority takes only those who come with an account of theirs.
        acme.errors.Error, acme.messages.Error, requests.RequestException: it refuses, or does not answer.
        OSError: the key cannot be kept.
    """
    key, algorithm = _read_key(key_path)
    network = _Network(key, alg=algorithm, user_agent=f"moorage/{__version__}", timeout=_REQUEST_TIMEOUT_S)
    network.verify_ssl = _trusted()  # type: ignore[assignment]  # passed on to requests, which takes a path
    directory = client.ClientV2.get_directory(directory_url or LETS_ENCRYPT, network)
    signed_on = client.ClientV2(directory, network)
    if signed_on.external_account_required():
        msg = "the authority wants an account of its own (external account binding), which is not supported"
        raise NotIssued(msg)
    wanted = messages.NewRegistration.from_data(email=email or None, terms_of_service_agreed=True)
    try:
        signed_on.new_account(wanted)
    except acme_errors.ConflictError as exc:  # It knows us already.
        network.account = messages.RegistrationResource(uri=exc.location, body=messages.Registration())
    return Account(signed_on, key)


class _Network(client.ClientNetwork):
    """The library's, with more patience for an authority that calls a nonce used. Source: RFC 8555 § 6.5."""

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - the signature is the library's
        """Send what is to be signed."""
        for _ in range(_NONCE_TRIES - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as exc:
                if exc.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


def _read_key(path: Path) -> tuple[JWK, JWASignature]:
    if not path.exists():
        fresh = generate_private_key(SECP256R1())
        write_whole(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        msg = f"{path} is not a private key; remove it to begin a new account"
        raise NotIssued(msg) from exc
    if isinstance(key, RSAPrivateKey):
        return JWKRSA(key=key), RS256
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.key_size in _CURVES:
        return JWKEC(key=key), _CURVES[key.curve.key_size]
    msg = f"{path} is neither an RSA key nor one of P-256 or P-384; remove it to begin a new account"
    raise NotIssued(msg)


_CURVES = {256: ES256, 384: ES384}


def _trusted() -> str | bool:
    """Whom this machine trusts, as for Go's registries, so that an authority of one's own can be added to it."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    # Without Debian's ca-certificates the folder is there and empty; then the library brings its own list.
    return paths.capath if paths.capath and any(Path(paths.capath).iterdir()) else True
