"""Namespaces: a group, or the place of a user's own projects. And the paths that things have, or had."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Lower

from moorage.control.namespaces.choosing import below


class TakenPath(models.Model):
    """A full path that a namespace or a project has, in small letters: one table, so that no two have the same."""

    path = models.CharField(max_length=255, primary_key=True)

    def __str__(self) -> str:
        return self.path


class PlaceKind(models.TextChoices):
    """The kinds of things whose old paths are remembered."""

    GROUP = "group"
    PROJECT = "project"


class OldPath(models.Model):
    """A full path that a group or project had, in small letters, until something else takes it."""

    path = models.CharField(max_length=255, primary_key=True)
    kind = models.CharField(max_length=8, choices=PlaceKind.choices)
    place_id = models.BigIntegerField()
    """The id of what was there: of a group or of a project, whose table is not known here."""

    class Meta:
        """The index by which a deletion forgets."""

        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["kind", "place_id"], name="old_path_by_place")]

    def __str__(self) -> str:
        return self.path


class FreedPath(models.Model):
    """A full path that a project or group has left, in small letters: what was there is in the registry's history.

    Whoever has the path next is not told of that.
    """

    path = models.CharField(max_length=255, primary_key=True)

    def __str__(self) -> str:
        return self.path


class NamespaceKind(models.TextChoices):
    """The two kinds, by GitLab's words."""

    USER = "user"
    GROUP = "group"


class Namespaces(models.QuerySet["Namespace"]):
    """Questions about namespaces."""

    def groups(self) -> "Namespaces":
        """Those that are groups."""
        return self.filter(kind=NamespaceKind.GROUP)

    def at(self, full_path: str) -> "Namespaces":
        """The one of this path, whatever its case."""
        return self.alias(lowered=Lower("full_path")).filter(lowered=full_path.lower())  # By the index.

    def within(self, namespace: "Namespace") -> "Namespaces":
        """*namespace* and all below it."""
        return self.filter(below(namespace.lineage).asked)


class Namespace(models.Model):
    """A group or a user's own place. ``changes`` keeps ``full_path`` and ``lineage`` true."""

    kind = models.CharField(max_length=8, choices=NamespaceKind.choices)
    name = models.CharField(max_length=255)
    path = models.CharField(max_length=255)
    full_path = models.CharField(max_length=255)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    lineage = models.CharField(max_length=400, db_index=True, default="")
    """The ids from the topmost group down to this one, each with a slash after it: ``3/17/``."""
    description = models.TextField(blank=True)
    visibility = models.CharField(max_length=8, default="private")
    """private, internal or public, as for projects."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = Namespaces.as_manager()

    class Meta:
        """Paths differ by more than case; the orders of lists."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(Lower("full_path"), name="namespace_full_path"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["full_path"], name="namespace_by_path"),
            models.Index(fields=["kind", "full_path"], name="namespace_of_kind_by_path"),
            models.Index(fields=["kind", "created_at"], name="namespace_of_kind_by_age"),
            models.Index(fields=["kind", "name"], name="namespace_of_kind_by_name"),
            models.Index(fields=["kind", "parent", "full_path"], name="namespace_of_group_by_path"),
            models.Index(fields=["visibility"], name="namespace_by_visibility"),
        ]

    def __str__(self) -> str:
        return self.full_path

    @property
    def audit_kind(self) -> str:
        """Its word in audit rows."""
        return "group" if self.is_group else "user_namespace"

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return self.full_path

    @property
    def lineage_ids(self) -> list[int]:
        """The ids of the groups above it, from the top, and its own."""
        return [int(part) for part in self.lineage.split("/") if part]

    @property
    def is_group(self) -> bool:
        """True if it is a group."""
        return self.kind == NamespaceKind.GROUP
