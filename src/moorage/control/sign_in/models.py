"""Sessions of people who are signed in."""

import uuid

from django.db import models

from moorage.control.accounts.models import User


class SignedInSession(models.Model):
    """One sign-in that lasts. Without its row the browser's session is signed out."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signed_in_sessions")
    address = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=255, blank=True)
    """The browser's words about itself."""
    started_at = models.DateTimeField(auto_now_add=True, db_index=True)
    seen_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.user_id} {self.started_at}"
