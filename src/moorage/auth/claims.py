"""Claims of tokens, as both sides have them in JSON; how tokens are signed and verified is in ``tokens``.

Source: Docker token authentication specification; GitLab features TOK-001 to TOK-012, TKC-001 to TKC-014.
"""

import math
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

DENIED_LIMIT = 400
"""Characters of what an issuer says about actions that it did not allow."""

AUDIENCES_LIMIT = 10

_IN_ORDER = Field(union_mode="left_to_right")
_FAR = 1 << 63
"""Seconds that every clock and every float has room for; what is further away is read as a float."""
_Time = Annotated[
    Annotated[int, Field(ge=-_FAR, le=_FAR)] | Annotated[float, Field(allow_inf_nan=False)],
    _IN_ORDER,
]


class _Part(BaseModel):
    """A part of a token: what is not known in it is ignored, what is known has to be of its type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class TagPatterns(_Part):
    """Tags that may not be pushed or deleted: ``meta.tag_deny_access_patterns``."""

    push: list[str] | None = None
    delete: list[str] | None = None


class Meta(_Part):
    """GitLab's details of a repository."""

    project_path: str | None = None
    project_id: int | None = None
    root_namespace_id: int | None = None
    tag_deny_access_patterns: TagPatterns | None = None
    tag_immutable_patterns: list[str] | None = None
    history_since: int | None = None
    """Moorage's own: seconds since 1970; what was done before then was done in somebody else's repository."""


class AccessClaim(_Part):
    """Actions that are allowed on one repository, or on the registry."""

    type: str
    name: str
    actions: Annotated[list[str], Field(max_length=20)] | None = None
    meta: Meta | None = None


class Claims(_Part):
    """The claims of a token. Moments are in seconds since 1970."""

    iss: str
    aud: Annotated[str | Annotated[list[str], Field(max_length=AUDIENCES_LIMIT)], _IN_ORDER]
    exp: _Time
    nbf: _Time | None = None
    iat: _Time | None = None
    jti: str | None = None
    sub: str | None = None
    access: list[AccessClaim] | None = None
    auth_type: str | None = None
    user: str | None = None
    """A token in the token, by GitLab: who it is, where there is no user."""
    denied: str | None = None
    """Moorage's own: what was asked for and is not allowed, and why; for people."""


class UserInfo(_Part):
    """``user_info`` of the token in the token."""

    token_type: str | None = None
    username: str | None = None
    user_id: int | None = None
    deploy_token_id: int | None = None


class UserToken(_Part):
    """The claims of the token in the token. Its times say nothing: the outer one's count."""

    user_info: UserInfo
    jti: str | None = None
    iat: _Time | None = None
    nbf: _Time | None = None
    exp: _Time | None = None


def past_claim(begins: datetime | None) -> int | None:
    """Return ``history_since`` of a past that begins then: whole seconds, rounded up, so that it has nothing older."""
    return None if begins is None else math.ceil(begins.timestamp())
