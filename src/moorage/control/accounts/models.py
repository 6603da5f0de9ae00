"""Users, the identities that they have elsewhere, and their tokens."""

from datetime import date
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower

from moorage.control.accounts.secret_rows import SecretRows
from moorage.control.audit.actors import Actor
from moorage.control.namespaces.models import Namespace


class UserKind(models.TextChoices):
    """A person, or the bot behind the tokens of a project or group."""

    HUMAN = "human"
    PROJECT_BOT = "project_bot"
    GROUP_BOT = "group_bot"


class UserState(models.TextChoices):
    """A user's state, by GitLab's words."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    LDAP_BLOCKED = "ldap_blocked"
    """The directory has them no more, or has disabled them; let in again when that is over."""


class UserRows(models.QuerySet["User"]):
    """Questions about users."""

    def named(self, username: str) -> "UserRows":
        """The one of this name, whatever its case."""
        return self.alias(lowered=Lower("username")).filter(lowered=username.lower())  # By the index.

    def of_address(self, email: str) -> "UserRows":
        """The one of this address, whatever its case; empty: nobody."""
        # By the index, which is of addresses that are not empty. The database has its own small letters.
        return self.exclude(email="").alias(lowered=Lower("email")).filter(lowered=Lower(models.Value(email)))

    def of_login(self, login: str) -> "UserRows":
        """The one whose name or address somebody typed. A name has no ``@``."""
        return self.of_address(login) if "@" in login else self.named(login)

    def humans(self) -> "UserRows":
        """Those that are people."""
        return self.filter(kind=UserKind.HUMAN)


class Users(BaseUserManager.from_queryset(UserRows)["User"]):  # type: ignore[misc] # the stubs' class is dynamic
    """Django's way to users."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user of this name, whatever its case."""
        found: User = self.named(username or "").get()
        return found


class User(AbstractBaseUser):
    """Someone who signs in, or a bot. ``accounts.changes`` changes it."""

    audit_kind = "user"
    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"

    username = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=255)
    email = models.EmailField(blank=True)
    is_admin = models.BooleanField(default=False)
    state = models.CharField(max_length=16, choices=UserState.choices, default=UserState.ACTIVE)
    kind = models.CharField(max_length=16, choices=UserKind.choices, default=UserKind.HUMAN)
    namespace = models.OneToOneField(Namespace, null=True, on_delete=models.PROTECT, related_name="owner")
    """The namespace of the user's own projects; None for bots."""
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Users()

    class Meta:
        """Names and addresses differ by more than case; the orders of lists."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(Lower("username"), name="user_username"),
            models.UniqueConstraint(Lower("email"), name="user_email", condition=~models.Q(email="")),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["created_at"], name="user_by_creation"),
            models.Index(fields=["name"], name="user_by_name"),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def is_active(self) -> bool:  # type: ignore[override] # Django's is a field
        """True if the user may sign in."""
        return self.state == UserState.ACTIVE

    @property
    def is_blocked_by_directory(self) -> bool:
        """True if it is the directory that keeps the user out."""
        return self.state == UserState.LDAP_BLOCKED

    @property
    def is_bot(self) -> bool:
        """True if it is the bot behind a token."""
        return self.kind != UserKind.HUMAN

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return self.username

    def as_actor(self, address: str = "") -> Actor:
        """The user as the one who changes something; *address*: where the request came from."""
        return Actor(user_id=self.pk, name=self.username, address=address)


class FactorKind(models.TextChoices):
    """A second factor, or the codes that help when it is lost."""

    TOTP = "totp"
    WEBAUTHN = "webauthn"
    RECOVERY = "recovery"


class SecondFactor(models.Model):
    """One second factor of a user: a key that makes codes, or a security key; or the recovery codes."""

    audit_kind = "second_factor"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="second_factors")
    kind = models.CharField(max_length=16, choices=FactorKind.choices)
    name = models.CharField(max_length=255)
    data = models.TextField()
    """An encrypted key; a security key's public part; digests of codes, one a line."""
    credential_id = models.CharField(max_length=1400, unique=True, null=True)  # noqa: DJ001 - unique where it is there
    """A security key's id, in base64; it has 1023 bytes at most. Source: Web Authentication § 4."""
    last_step = models.BigIntegerField(default=0)
    """Step of the last code, so that none is taken twice; a security key's counter."""
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        """A user has one of each kind, but for security keys."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["user", "kind"], name="one_factor_of_a_kind", condition=~models.Q(kind=FactorKind.WEBAUTHN)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.kind}"

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return f"{self.user.username}: {self.name}"


class ExternalIdentity(models.Model):
    """A user's name at a provider of identities: OpenID Connect's ``sub``, or LDAP's DN."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    provider = models.CharField(max_length=64)
    uid = models.CharField(max_length=512)
    stable_id = models.CharField(max_length=128, blank=True)
    """A directory's own id of the entry, which stays when it is moved: ``attribute:value``. Empty: there is none."""

    class Meta:
        """A name at a provider is one user's."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["provider", "uid"], name="identity_of_one_user"),
            models.UniqueConstraint(fields=["user", "provider"], name="user_has_one_identity_there"),
            models.UniqueConstraint(
                fields=["provider", "stable_id"], name="stable_id_of_one_user", condition=~models.Q(stable_id="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.uid}"


class PersonalTokens(SecretRows["PersonalAccessToken"]):
    """Questions about tokens."""

    def usable(self, today: date) -> "PersonalTokens":
        """Those that are taken on *today*."""
        return self.filter(revoked_at=None, expires_at__gt=today)


class PersonalAccessToken(models.Model):
    """A token of a user; those of projects and groups are their bots'."""

    audit_kind = "personal_access_token"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    expires_at = models.DateField()
    """The first day on which it is not taken any more."""
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    previous = models.OneToOneField("self", null=True, on_delete=models.SET_NULL, related_name="next")
    """The token that this one took the place of."""

    objects = PersonalTokens.as_manager()

    def __str__(self) -> str:
        return f"{self.user_id} {self.name}"

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return f"{self.user.username}: {self.name}"

    def is_usable(self, today: date) -> bool:
        """Return whether it is taken on *today*."""
        return self.revoked_at is None and self.expires_at > today
