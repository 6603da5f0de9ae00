"""Tokens as GitLab writes them: their claims, and their signature.

Source: GitLab features TKC-001 to TKC-014, TKN-023.
"""

import time
import uuid
from collections.abc import Sequence

from django.conf import settings

from moorage.auth.claims import AccessClaim, Claims, UserInfo, UserToken
from moorage.auth.tokens import mint
from moorage.control.instance.models import ApplicationSettings
from moorage.control.projects.requesters import Requester
from moorage.control.tokens.signing import registry_key

SERVICE = "container_registry"
"""Source: GitLab features TKN-002, TKC-004."""

OWN_LIFE_S = 600
"""The longest life of a token of the control plane's own, however long those of users live: requirement S-111."""
_SKEW_S = 5
"""Seconds that a token is valid before it was made. Source: GitLab features TKC-007."""
_USER_LIFE_S = 60
"""Of the token in the token. Source: GitLab features TKC-010."""


def mint_token(who: Requester, access: Sequence[AccessClaim], *, denied: str = "") -> str:
    """Make a token for *who* with this *access*; *denied*: what they asked for besides, and why they do not have it."""
    now = int(time.time())
    user = _user_token(who, now)
    return _minted(
        now,
        access,
        sub=who.user.username if who.user is not None else None,
        auth_type=who.credential.value,
        user=user,
        denied=denied or None,
    )


def mint_internal_token(access: Sequence[AccessClaim]) -> str:
    """Make a token for a call of the control plane's own to the registry."""
    return _minted(int(time.time()), access, limit_s=OWN_LIFE_S)


def token_lifetime_s() -> int:
    """Return the seconds that a token lives from now on, as administrators have it."""
    return ApplicationSettings.now().container_registry_token_expire_delay * 60


def _minted(now: int, access: Sequence[AccessClaim], *, limit_s: int | None = None, **claims: str | None) -> str:
    life_s = token_lifetime_s()
    whole = Claims(
        iss=settings.MOORAGE.configuration.registry.issuer,
        aud=SERVICE,
        exp=now + (life_s if limit_s is None else min(life_s, limit_s)),
        nbf=now - _SKEW_S,
        iat=now,
        jti=str(uuid.uuid4()),
        access=list(access),
        **claims,
    )
    return mint(whole, registry_key().signing(now))


def _user_token(who: Requester, now: int) -> str | None:
    if who.user is not None:
        info = UserInfo(token_type=who.credential.value, username=who.user.username, user_id=who.user.pk)
    elif who.deploy_token is not None:
        token = who.deploy_token
        info = UserInfo(token_type=who.credential.value, username=token.username, deploy_token_id=token.pk)
    else:
        return None
    claims = UserToken(user_info=info, jti=str(uuid.uuid4()), iat=now, nbf=now - _SKEW_S, exp=now + _USER_LIFE_S)
    return mint(claims, registry_key().signing(now))
