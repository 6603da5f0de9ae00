"""The tables of protection rules. ``changes`` alters them; what they mean is in ``rules``."""

from typing import ClassVar

from django.db import models

from moorage.control.projects.models import Project
from moorage.control.protection.rules import (
    REPOSITORY_PATTERN_LIMIT,
    TAG_PATTERN_LIMIT,
    ProtectionLevel,
    RepositoryRule,
    TagRule,
)

_LEVELS = [(level.value, level.value) for level in ProtectionLevel]


class ProtectionModel(models.Model):
    """A rule of either kind: a pattern, in a field that each kind calls by its own name, and levels."""

    audit_kind: ClassVar[str]
    pattern_field: ClassVar[str]

    minimum_access_level_for_push = models.CharField(max_length=16, blank=True, choices=_LEVELS)
    """Empty: no level is asked for."""
    minimum_access_level_for_delete = models.CharField(max_length=16, blank=True, choices=_LEVELS)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """Each kind has a table of its own."""

        abstract = True

    def __str__(self) -> str:
        return self.audit_name

    @property
    def audit_name(self) -> str:
        """Its pattern, which is its name in audit rows."""
        pattern: str = getattr(self, self.pattern_field)
        return pattern


class RepositoryProtection(ProtectionModel):
    """A rule about repositories."""

    audit_kind = "repository_protection_rule"
    pattern_field = "repository_path_pattern"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="repository_protections")
    repository_path_pattern = models.CharField(max_length=REPOSITORY_PATTERN_LIMIT)

    class Meta:
        """A pattern has one rule in a project."""

        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["project", "repository_path_pattern"], name="one_rule_a_repository_pattern"
            ),
        ]

    @property
    def leads_nowhere(self) -> bool:
        """Return whether it protects nothing, as the project was moved before rules followed a move."""
        return self.rule.leads_nowhere(self.project.full_path)

    @property
    def rule(self) -> RepositoryRule:
        """The rule as a value."""
        return RepositoryRule(
            pattern=self.repository_path_pattern,
            push=level_of(self.minimum_access_level_for_push),
            delete=level_of(self.minimum_access_level_for_delete),
        )


class TagProtections(models.QuerySet["ProtectedTagPattern"]):
    """Questions about rules of tags."""

    def mutable(self) -> "TagProtections":
        """Those with levels: GitLab's API lists these only."""
        return self.exclude(minimum_access_level_for_push="")

    def immutable(self) -> "TagProtections":
        """Those without."""
        return self.filter(minimum_access_level_for_push="")


class ProtectedTagPattern(ProtectionModel):
    """A rule about tags; without levels, they are immutable."""

    audit_kind = "tag_protection_rule"
    pattern_field = "tag_name_pattern"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tag_protections")
    tag_name_pattern = models.CharField(max_length=TAG_PATTERN_LIMIT)

    objects = TagProtections.as_manager()

    class Meta:
        """A pattern has one rule in a project, with both levels or with none."""

        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "tag_name_pattern"], name="one_rule_a_tag_pattern"),
            models.CheckConstraint(
                condition=models.Q(minimum_access_level_for_push="", minimum_access_level_for_delete="")
                | ~models.Q(minimum_access_level_for_push="") & ~models.Q(minimum_access_level_for_delete=""),
                name="both_levels_or_none",
            ),
        ]

    @property
    def is_immutable(self) -> bool:
        """True if nobody may move or delete its tags."""
        return self.rule.is_immutable

    @property
    def rule(self) -> TagRule:
        """The rule as a value."""
        return TagRule(
            pattern=self.tag_name_pattern,
            push=level_of(self.minimum_access_level_for_push),
            delete=level_of(self.minimum_access_level_for_delete),
        )


def level_of(word: str) -> ProtectionLevel | None:
    """Return the level of this word; None for the empty one.

    Raises:
        ValueError: it is no level.
    """
    return ProtectionLevel(word) if word else None
