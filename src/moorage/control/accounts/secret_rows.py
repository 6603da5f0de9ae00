"""Rows of tokens that are known by the digest of their secret."""

from datetime import datetime
from typing import Self, TypeVar

from django.db import models

from moorage.control.accounts.rules import LAST_USE_AGE
from moorage.control.accounts.token_secrets import digest_of

AnyToken = TypeVar("AnyToken", bound=models.Model)


class SecretRows(models.QuerySet[AnyToken]):
    """Questions about tokens, of whatever kind."""

    def of_secret(self, secret: str) -> Self:
        """The one with this secret."""
        return self.filter(digest=digest_of(secret))

    def note_use(self, pk: int, now: datetime) -> None:
        """Write down a use, if none was lately."""
        stale = models.Q(last_used_at=None) | models.Q(last_used_at__lte=now - LAST_USE_AGE)
        self.filter(stale, pk=pk).update(last_used_at=now)

    def take_back(self, token: AnyToken, now: datetime) -> bool:
        """Let a token not be taken any more, for good; False if it was not any more before."""
        changed = self.filter(pk=token.pk, revoked_at=None).update(revoked_at=now)
        token.refresh_from_db()
        return bool(changed)
