"""Tokens from rules: what was asked for, cut to what is allowed."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moorage.auth.claims import AccessClaim, Claims
from moorage.auth.tokens import mint
from moorage.token_server.key_ring import KeyRing
from moorage.token_server.rules import Rules
from moorage.token_server.scopes import Scope


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and what the client is told of it."""

    token: str
    granted: Sequence[Scope]
    issued_at: datetime
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """Signs tokens for one registry."""

    issuer: str
    service: str
    lifetime: timedelta
    rules: Callable[[], Rules]
    """Those of now."""
    ring: Callable[[], KeyRing]
    """The keys of now."""

    def issue(self, user: str | None, asked: Sequence[Scope], now: float) -> Issued:
        """A token for *user*, None being anybody; for less than was *asked* if the rules allow less.

        Source: Docker token authentication specification: that is no error.
        """
        rules = self.rules()
        allowed = [Scope(scope.kind, scope.name, rules.granted(user, scope)) for scope in asked]
        granted = [scope for scope in allowed if scope.actions]
        began = int(now)
        claims = Claims(
            iss=self.issuer,
            aud=self.service,
            sub=user or "",
            exp=began + int(self.lifetime.total_seconds()),
            nbf=began,
            iat=began,
            jti=secrets.token_urlsafe(16),
            auth_type="password" if user is not None else "anonymous",
            access=[AccessClaim(type=scope.kind, name=scope.name, actions=list(scope.actions)) for scope in granted],
        )
        token = mint(claims, self.ring().signing(now))
        return Issued(token, granted, datetime.fromtimestamp(began, UTC), self.lifetime)
