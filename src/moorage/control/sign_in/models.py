"""Sessions of people who are signed in, and when their directory is asked about them again."""

import uuid
from typing import ClassVar

from django.db import models

from moorage.control.accounts.models import ExternalIdentity, User
from moorage.control.jobs.leases import OWNER_LENGTH, LeaseFields


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


class DirectoryCheck(models.Model):
    """The next look at whether a directory still has someone."""

    LEASE: ClassVar = LeaseFields("due_at", "owner")

    identity = models.OneToOneField(ExternalIdentity, on_delete=models.CASCADE, related_name="directory_check")
    due_at = models.DateTimeField(db_index=True)
    """The moment at which it is looked next; meanwhile, until when it is leased."""
    owner = models.CharField(max_length=OWNER_LENGTH, blank=True)

    def __str__(self) -> str:
        return f"{self.identity_id} {self.due_at}"
