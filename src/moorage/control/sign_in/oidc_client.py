"""The client of the OpenID Connect provider: the way there, and what it says of the person who comes back.

Source: OpenID Connect Core § 3.1 (authorization code flow), with PKCE (RFC 7636) and a nonce always.
"""

import threading
from collections.abc import Mapping
from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.django_client import DjangoOAuth2App
from django.utils.translation import gettext_noop
from joserfc.errors import JoseError

from moorage.control.configured_sign_in import OIDCKeys
from moorage.control.sent_texts import storable
from moorage.control.sign_in.identity_claims import IdentityClaims, ProviderRefused
from moorage.telemetry import get_log

_TIMEOUT_S = 10
_LEEWAY_S = 60
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Only those with a public key: nothing that our own secret, or nobody, could have signed."""
_TROUBLES = (AuthlibBaseError, JoseError, requests.RequestException, ValueError, RuntimeError, KeyError, TypeError)

_FAILED = gettext_noop("the provider did not answer as it should; an administrator finds the reason in the log")

_log = get_log("control.sign_in")


class OIDCClient:
    """The client of one provider."""

    def __init__(self, keys: OIDCKeys) -> None:
        self._keys = keys
        self._lock = threading.Lock()
        self._app = self._new_app()

    def way_there(self, redirect_uri: str) -> dict[str, str]:
        """Return the provider's address (``url``), and what has to be kept until the person is back.

        Raises:
            ProviderRefused: it does not answer.
        """
        try:
            found = self._ready().create_authorization_url(redirect_uri)
        except _TROUBLES as exc:
            raise self._refused(exc) from None
        return {name: str(found[name]) for name in ("url", "state", "nonce", "code_verifier")} | {
            "redirect_uri": redirect_uri
        }

    def claims(self, kept: Mapping[str, str], *, code: str) -> IdentityClaims:
        """Turn the *code* that the person came back with into what the provider says of them.

        Raises:
            ProviderRefused: it does not answer, or the answer is not right.
        """
        try:
            app = self._ready()
            token = app.fetch_access_token(
                code=code, code_verifier=kept["code_verifier"], redirect_uri=kept["redirect_uri"]
            )
            found = dict(app.parse_id_token(token, nonce=kept["nonce"], leeway=_LEEWAY_S) or {})
            if self._keys.userinfo and app.server_metadata.get("userinfo_endpoint"):
                found = self._with_userinfo(app, token, found)
            return self._claims(found)
        except _TROUBLES as exc:
            raise self._refused(exc) from None

    def _ready(self) -> Any:  # noqa: ANN401 - the library has no types
        """The library's client, once it knows the provider's document."""
        with self._lock:
            metadata = self._app.load_server_metadata()
            if str(metadata.get("issuer", "")).rstrip("/") != self._keys.issuer.rstrip("/"):
                self._app = self._new_app()
                msg = "the provider's document names another issuer"
                raise ValueError(msg)
            given = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
            metadata["id_token_signing_alg_values_supported"] = [name for name in given if name in _ALGORITHMS]
            return self._app

    def _new_app(self) -> Any:  # noqa: ANN401 - as above
        keys = self._keys
        return DjangoOAuth2App(
            None,
            name="oidc",
            client_id=keys.client_id,
            client_secret=keys.client_secret,
            server_metadata_url=f"{keys.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(keys.scopes.split()),
                "code_challenge_method": "S256",
                "default_timeout": _TIMEOUT_S,
            },
        )

    def _with_userinfo(self, app: Any, token: Any, found: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - as above
        more = dict(app.userinfo(token=token))
        if more.get("sub") != found.get("sub"):  # Else it could be about another person. Source: OIDC Core § 5.3.2.
            msg = "userinfo is about another subject"
            raise ValueError(msg)
        return {**more, **found}

    def _claims(self, found: Mapping[str, Any]) -> IdentityClaims:
        keys, uid = self._keys, str(found.get("sub") or "")
        if not uid or len(uid) > 255 or storable(uid) != uid:  # noqa: PLR2004 - OIDC Core § 2
            msg = "there is no subject in the token"
            raise ValueError(msg)
        groups = found.get(keys.groups_claim)
        return IdentityClaims(
            uid=uid,
            username=storable(str(found.get(keys.username_claim) or "")),
            email=storable(str(found.get("email") or "")),
            is_email_verified=found.get("email_verified") is True,
            name=storable(str(found.get("name") or "")),
            groups=[str(one) for one in groups] if isinstance(groups, list) else None,
        )

    def _refused(self, exc: Exception) -> ProviderRefused:
        reason = str(exc) if isinstance(exc, AuthlibBaseError | JoseError | ValueError) else ""
        _log.warning("sign-in by OpenID Connect failed", kind=type(exc).__name__, reason=reason[:200])
        return ProviderRefused(_FAILED)
