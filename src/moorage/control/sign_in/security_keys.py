"""Security keys by Web Authentication: asked for, and their answers checked.

Source: Web Authentication level 3, § 7.1 and § 7.2; the library checks what they say.
"""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from django.http import HttpRequest
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

from moorage.control.accounts.models import FactorKind, User
from moorage.control.accounts.second_factors import (
    add_security_key,
    note_security_key,
    uses_of_security_keys,
)
from moorage.control.audit.actors import Actor
from moorage.control.refusals import refused
from moorage.control.sign_in.own_ways import absolute

_STATE = "security_key_state"
_BAD_ANSWER = (ValueError, TypeError, KeyError, AttributeError, AssertionError)
"""Errors that the library raises for an answer that is none, or that is wrong."""


def registration(request: HttpRequest, user: User) -> dict[str, object]:
    """Return what a browser asks a new security key."""
    entity = PublicKeyCredentialUserEntity(
        id=str(user.pk).encode(), name=user.username, display_name=user.name or user.username
    )
    options, state = _server(request).register_begin(
        entity, _keys(user), user_verification=UserVerificationRequirement.DISCOURAGED
    )
    request.session[_STATE] = state
    return dict(options)


def register(request: HttpRequest, user: User, answer: Mapping[str, object], *, by: Actor) -> None:
    """Keep the security key that has given *answer*.

    Raises:
        ChangeRefused: the answer is not right.
    """
    state, name = request.session.pop(_STATE, None), str(answer.get("name", ""))
    found = None
    with suppress(*_BAD_ANSWER):
        if state:
            found = _server(request).register_complete(state, answer).credential_data
    if found is None:
        raise refused("base", "the security key's answer was not taken; try again")
    credential_id = websafe_encode(found.credential_id)
    add_security_key(user, name, credential_id=credential_id, public=websafe_encode(bytes(found)), by=by)


def challenge(request: HttpRequest, user: User) -> dict[str, object]:
    """Return what a browser asks a security key of *user*."""
    options, state = _server(request).authenticate_begin(
        _keys(user), user_verification=UserVerificationRequirement.DISCOURAGED
    )
    request.session[_STATE] = {"asked": state, "uses": uses_of_security_keys(user)}
    return dict(options)


def is_right(request: HttpRequest, user: User, answer: Mapping[str, object]) -> bool:
    """Check the answer of a security key of *user*; each challenge is taken once.

    A request at the same moment has the same challenge in its session: the key's row decides which of them is first.
    """
    state = request.session.pop(_STATE, None)
    with suppress(*_BAD_ANSWER):
        if state:
            used = _server(request).authenticate_complete(state["asked"], _keys(user), answer)
            counter = AuthenticationResponse.from_dict(answer).response.authenticator_data.counter
            factor = user.second_factors.filter(credential_id=websafe_encode(used.credential_id)).first()
            return factor is not None and note_security_key(factor, counter, before=state["uses"][str(factor.pk)])
    return False


def _keys(user: User) -> list[AttestedCredentialData]:
    rows = user.second_factors.filter(kind=FactorKind.WEBAUTHN).values_list("data", flat=True)
    return [AttestedCredentialData(websafe_decode(data)) for data in rows]


def _server(request: HttpRequest) -> Fido2Server:
    parts = urlsplit(absolute(request, "/").lower())
    origin = f"{parts.scheme}://{parts.netloc}"
    return Fido2Server(
        PublicKeyCredentialRpEntity(id=parts.hostname or "", name="Moorage"),
        verify_origin=lambda given: given == origin,
    )
