"""Filters of lists: all that GitLab's lists have, so that none is passed over and more is listed than was asked for.

Here is also what asks for something that nothing here can be, such as an archived project: such a list is empty.
"""

from datetime import date
from typing import Any, Literal

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from pydantic import Field

from moorage.control.accounts.models import PersonalAccessToken, PersonalTokens, SecondFactor, User, UserRows, UserState
from moorage.control.api.parameters import Given, Id, IdList, Instant, ShortText, Visibilities
from moorage.control.namespaces.models import Namespaces
from moorage.control.projects.models import DeployTokens, Membership, Memberships, Project, Projects
from moorage.control.projects.visible_groups import groups_of_member

_TOKEN_ORDERS = {"created": "created_at", "expires": "expires_at", "last_used": "last_used_at", "name": "name"}
_NEVER = "Nothing here is so: with it, the list is empty."


class ProjectFilters(Given):
    """Filters of projects."""

    visibility: Visibilities | None = None
    updated_after: Instant | None = Field(None, description="Only those changed from then on.")
    updated_before: Instant | None = Field(None, description="Only those changed before then.")
    last_activity_after: Instant | None = Field(None, description="As `updated_after`.")
    last_activity_before: Instant | None = Field(None, description="As `updated_before`.")
    active: bool | None = Field(None, description="All are: with `false`, the list is empty.")
    archived: bool = Field(False, description=_NEVER)
    imported: bool = Field(False, description=_NEVER)
    starred: bool = Field(False, description=_NEVER)
    topic: ShortText = Field("", description=_NEVER)
    topic_id: Id | None = Field(None, description=_NEVER)
    marked_for_deletion_on: date | None = Field(None, description=_NEVER)
    with_issues_enabled: bool = Field(False, description=_NEVER)
    with_merge_requests_enabled: bool = Field(False, description=_NEVER)
    with_programming_language: ShortText = Field("", description=_NEVER)
    with_security_reports: bool = Field(False, description=_NEVER)
    repository_checksum_failed: bool = Field(False, description=_NEVER)
    wiki_checksum_failed: bool = Field(False, description=_NEVER)

    def of(self, rows: Projects) -> Projects:
        """Return those of *rows* that are asked for."""
        never = (self.archived, self.imported, self.starred, self.topic, self.topic_id, self.marked_for_deletion_on)
        features = (self.with_issues_enabled, self.with_merge_requests_enabled, self.with_programming_language)
        checks = (self.with_security_reports, self.repository_checksum_failed, self.wiki_checksum_failed)
        if self.active is False or any((*never, *features, *checks)):
            return rows.none()
        if self.visibility:
            rows = rows.filter(visibility=self.visibility)
        after = {"updated_at__gte": self.updated_after}, {"updated_at__gte": self.last_activity_after}
        before = {"updated_at__lt": self.updated_before}, {"updated_at__lt": self.last_activity_before}
        found: Projects = _within(rows, *after, *before)
        return found


class GroupFilters(Given):
    """Filters of groups."""

    visibility: Visibilities | None = None
    skip_groups: IdList | None = Field(None, description="Ids of those that are left out.")
    all_available: bool = Field(True, description="`false`: only those that the caller is a member of.")
    active: bool | None = Field(None, description="All are: with `false`, the list is empty.")
    archived: bool = Field(False, description=_NEVER)
    marked_for_deletion_on: date | None = Field(None, description=_NEVER)

    def of(self, rows: Namespaces, user: User | None) -> Namespaces:
        """Return those of *rows* that are asked for; *user*: who asks."""
        if self.active is False or self.archived or self.marked_for_deletion_on:
            return rows.none()
        if self.visibility:
            rows = rows.filter(visibility=self.visibility)
        if self.skip_groups:
            rows = rows.exclude(pk__in=self.skip_groups)
        if not self.all_available and user is not None:
            rows = rows.filter(pk__in=groups_of_member(user, timezone.now().date()).values("pk"))
        return rows


class UserFilters(Given):
    """Filters of users."""

    created_after: Instant | None = Field(None, description="Only those made from then on.")
    created_before: Instant | None = Field(None, description="Only those made before then.")
    exclude_active: bool = Field(False, description="Without those who may sign in.")
    exclude_humans: bool = Field(False, description="Only the bots of tokens.")
    skip_ldap: bool = Field(False, description="Without those of a directory.")
    admins: bool = Field(False, description="Only administrators; for administrators.")
    two_factor: Literal["enabled", "disabled"] | None = Field(
        None, description="Only those with a second factor, or without; for administrators."
    )
    without_projects: bool = Field(False, description="Only those with no project; for administrators.")
    extern_uid: ShortText = Field("", description="The one of this name at `provider`; for administrators.")
    provider: ShortText = Field("", description="The provider of `extern_uid`.")
    external: bool = Field(False, description=_NEVER)
    auditors: bool = Field(False, description=_NEVER)
    public_email: ShortText = Field("", description="No address is public: with it, the list is empty.")
    saml_provider_id: Id | None = Field(None, description=_NEVER)

    @property
    def is_for_admins(self) -> bool:
        """True if only administrators may ask so."""
        return bool(self.admins or self.two_factor or self.without_projects or self.extern_uid)

    def of(self, rows: UserRows) -> UserRows:
        """Return those of *rows* that are asked for."""
        if self.external or self.auditors or self.public_email or self.saml_provider_id is not None:
            return rows.none()
        rows = _within(rows, {"created_at__gte": self.created_after}, {"created_at__lt": self.created_before})
        if self.exclude_active:
            rows = rows.exclude(state=UserState.ACTIVE)
        if self.exclude_humans:
            rows = rows.exclude(kind="human")
        if self.skip_ldap:
            rows = rows.exclude(identities__provider__startswith="ldap")
        if self.admins:
            rows = rows.filter(is_admin=True)
        if self.extern_uid:
            rows = rows.filter(identities__uid=self.extern_uid, identities__provider=self.provider)
        return self._by_possessions(rows)

    def _by_possessions(self, rows: UserRows) -> UserRows:
        if self.two_factor:
            factors = Exists(SecondFactor.objects.filter(user=OuterRef("pk")))
            rows = rows.filter(factors if self.two_factor == "enabled" else ~factors)
        if self.without_projects:
            below = Exists(Project.objects.filter(namespace__lineage__startswith=OuterRef("namespace__lineage")))
            roles = Membership.objects.valid(timezone.now().date()).filter(user=OuterRef("pk"))
            rows = rows.exclude(Exists(roles.filter(Q(namespace=None) | below)))
            rows = rows.exclude(Exists(Project.objects.filter(namespace=OuterRef("namespace"))))
        return rows


class MemberFilters(Given):
    """Filters of members."""

    user_ids: IdList | None = Field(None, description="Only these users.")
    skip_users: IdList | None = Field(None, description="Without these users.")
    state: Literal["active", "awaiting"] | None = Field(
        None, description="All are active: with `awaiting`, the list is empty."
    )

    def of(self, rows: Memberships) -> Memberships:
        """Return those of *rows* that are asked for."""
        if self.state == "awaiting":
            return rows.none()
        if self.user_ids is not None:
            rows = rows.filter(user__in=self.user_ids)
        return rows.exclude(user__in=self.skip_users) if self.skip_users else rows

    def has(self, user_id: int) -> bool:
        """Return whether a user is among those that are asked for."""
        is_asked = self.user_ids is None or user_id in self.user_ids
        return self.state != "awaiting" and is_asked and user_id not in (self.skip_users or ())


class TokenFilters(Given):
    """Filters and orders of personal access tokens, and of those of projects and groups."""

    state: Literal["active", "inactive"] | None = None
    revoked: bool | None = None
    search: ShortText = Field("", description="Only those with this in their name.")
    created_after: Instant | None = Field(None, description="Only those made from then on.")
    created_before: Instant | None = Field(None, description="Only those made until then.")
    last_used_after: Instant | None = Field(None, description="Only those last used from then on.")
    last_used_before: Instant | None = Field(None, description="Only those last used until then.")
    expires_after: date | None = Field(None, description="Only those that end on this day or later.")
    expires_before: date | None = Field(None, description="Only those that end until this day.")
    sort: ShortText = Field(
        "", description="`created`, `expires`, `last_used` or `name`, then `_asc` or `_desc`; else the newest first."
    )

    def of(self, rows: PersonalTokens) -> PersonalTokens:
        """Return those of *rows* that are asked for, in the order that is asked for."""
        today = timezone.now().date()
        if self.state is not None:
            usable = PersonalAccessToken.objects.usable(today).values("pk")
            rows = rows.filter(pk__in=usable) if self.state == "active" else rows.exclude(pk__in=usable)
        if self.revoked is not None:
            rows = rows.filter(revoked_at__isnull=not self.revoked)
        if self.search:
            rows = rows.filter(name__icontains=self.search)
        made = {"created_at__gte": self.created_after}, {"created_at__lte": self.created_before}
        used = {"last_used_at__gte": self.last_used_after}, {"last_used_at__lte": self.last_used_before}
        ends = {"expires_at__gte": self.expires_after}, {"expires_at__lte": self.expires_before}
        return self._ordered(_within(rows, *made, *used, *ends))

    def _ordered(self, rows: PersonalTokens) -> PersonalTokens:
        word, _, way = self.sort.rpartition("_")
        field = _TOKEN_ORDERS.get(word.removesuffix("_at"))
        if field is None or way not in {"asc", "desc"}:
            return rows.order_by("-pk")
        # A token that was never used comes last either way.
        by = F(field).asc(nulls_last=True) if way == "asc" else F(field).desc(nulls_last=True)
        return rows.order_by(by, "-pk")


class DeployTokenFilters(Given):
    """Filters of deploy tokens."""

    active: bool = Field(False, description="Only those that have not ended.")

    def of(self, rows: DeployTokens) -> DeployTokens:
        """Return those of *rows* that are asked for; none that was revoked is among them."""
        return rows.usable(timezone.now()) if self.active else rows.filter(revoked_at=None)


def _within(rows: Any, *limits: dict[str, Any]) -> Any:  # noqa: ANN401 - rows of any kind
    """Those of *rows* that keep within each of the *limits* that were given."""
    for limit in limits:
        if None not in limit.values():
            rows = rows.filter(**limit)
    return rows
