"""Requests to the token endpoint, and what is in the tokens that come back."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.test import Client
from joserfc import jws

from moorage.auth.claims import AccessClaim, Claims

SERVICE = "container_registry"


def basic(name: str, secret: str) -> str:
    """An ``Authorization`` header."""
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"


def ask(
    client: Client,
    *scopes: str,
    given: tuple[str, str] | None = None,
    service: str = SERVICE,
    address: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
) -> Any:  # noqa: ANN401 - Django's test answer has no public type
    """Ask as docker does: a ``scope`` parameter for each scope."""
    query = urlencode([("account", "x"), ("service", service), *[("scope", scope) for scope in scopes]])
    credentials = {"Authorization": basic(*given)} if given else {}
    return client.get(f"/jwt/auth?{query}", headers={**credentials, **(headers or {})}, REMOTE_ADDR=address)


def claims_of(token: str) -> Claims:
    """The claims of a token, unverified."""
    return Claims.model_validate_json(payload_of(token))


def payload_of(token: str) -> bytes:
    """What is signed."""
    return jws.extract_compact(token.encode()).payload


def access_of(answer: Any) -> list[AccessClaim]:  # noqa: ANN401 - as above
    """The access of an answer's token."""
    assert answer.status_code == 200, answer.content
    return claims_of(answer.json()["token"]).access or []


def granted(answer: Any) -> dict[str, list[str]]:  # noqa: ANN401 - as above
    """The actions of an answer's token by name."""
    return {one.name: one.actions or [] for one in access_of(answer)}
