"""Questions about sizes and quotas, for pages, commands, the API and the token endpoint."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q

from moorage.control.images.models import ImageRepository
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.usage.models import UsagePlace, UsagePlaces
from moorage.control.usage.rules import QuotaState, refusal_of_move, refusal_of_push

CHUNK = 1000
"""Rows that are in memory at once."""


class SizeRow(NamedTuple):
    """A line of the report of sizes. Source: requirement S-077; GitLab features DSK-004."""

    project_id: int
    creator_id: int | None
    registry_size_bytes: int
    path: str

    def shown(self) -> Mapping[str, object]:
        """Return it by GitLab's names."""
        return {
            "project_id": self.project_id,
            "creator_id": self.creator_id,
            "registry_size_bytes": self.registry_size_bytes,
            "path": self.path,
        }


def projects_with_sizes() -> UsagePlaces:
    """Return the rows of projects that take room, the largest first."""
    return UsagePlace.objects.filter(size_bytes__gt=0, project__isnull=False).order_by("-size_bytes", "pk")


def size_report() -> Iterator[SizeRow]:
    """Yield a line for each project that takes room, the largest first.

    It is read in parts and holds no transaction: a size that is measured meanwhile may be missed, or come twice.
    """
    rows = projects_with_sizes().select_related("project")
    chunk = list(rows[:CHUNK])
    while chunk:
        yield from (_line(row) for row in chunk)
        last = chunk[-1]
        after = Q(size_bytes__lt=last.size_bytes) | Q(size_bytes=last.size_bytes, pk__gt=last.pk)
        chunk = list(rows.filter(after)[:CHUNK]) if len(chunk) == CHUNK else []


def size_report_as_csv() -> Iterator[str]:
    """Yield the lines of the report as CSV, under the column names of the script in GitLab's guide."""
    yield _csv_line((*SizeRow._fields[:-1], "project path"))
    yield from map(_csv_line, size_report())


def unmeasured_projects(limit: int) -> tuple[str, ...]:
    """Return the paths of up to *limit* projects that have images and no size yet."""
    has_images = Exists(ImageRepository.objects.filter(project=OuterRef("pk")))
    rows = Project.objects.filter(has_images, usage__measured_at=None).select_related("namespace")
    return tuple(project.full_path for project in rows.order_by("pk")[:limit])


def size_line(row: UsagePlace) -> Mapping[str, object]:
    """Return the line of the report for a project's row."""
    return _line(row).shown()


def usage_of(place: Project | Namespace) -> UsagePlace:
    """Return the sizes and quotas of a place; one without a size or a quota if there are none."""
    rows = UsagePlace.objects.all()
    found = (rows.filter(project=place) if isinstance(place, Project) else rows.filter(namespace=place)).first()
    if found is not None:
        return found
    return UsagePlace(project=place) if isinstance(place, Project) else UsagePlace(namespace=place)


def sizes_of_projects(projects: list[Project]) -> Mapping[int, int]:
    """Return the sizes that are known, by the projects' ids."""
    rows = UsagePlace.objects.filter(project__in=projects, size_bytes__isnull=False)
    return {
        pk: size for pk, size in rows.values_list("project_id", "size_bytes") if pk is not None and size is not None
    }


def sizes_of_namespaces(namespaces: list[Namespace]) -> Mapping[int, int]:
    """Return the sizes that are known, by the namespaces' ids."""
    rows = UsagePlace.objects.filter(namespace__in=namespaces, size_bytes__isnull=False)
    found = rows.values_list("namespace_id", "size_bytes")
    return {pk: size for pk, size in found if pk is not None and size is not None}


def push_obstacle(project: Project) -> str:
    """Return why no push into *project* is allowed; empty: no hard quota forbids it.

    Sizes are those that were measured last.
    """
    rows = UsagePlace.objects.of_project(project).filter(hard_bytes__isnull=False, size_bytes__isnull=False)
    for row in rows.select_related("project", "namespace").order_by("pk"):
        if row.state is QuotaState.HARD:
            return refusal_of_push(row.audit_name, row.size_bytes or 0, row.hard_bytes or 0)
    return ""


def namespace_obstacle(namespace: Namespace) -> str:
    """Return why no new project is made in *namespace* by a push; empty: no hard quota forbids it."""
    rows = UsagePlace.objects.filter(namespace__in=namespace.lineage_ids, hard_bytes__isnull=False)
    for row in rows.select_related("namespace").order_by("pk"):
        if row.state is QuotaState.HARD:
            return refusal_of_push(row.audit_name, row.size_bytes or 0, row.hard_bytes or 0)
    return ""


def move_obstacle(place: Project | Namespace, namespace_ids: Collection[int]) -> str:
    """Return why *place* cannot be moved to where it would count in these namespaces; empty: their quotas have room.

    Sizes are those that were measured last. Where that of *place* is not known yet, a full namespace takes no images.
    """
    size_bytes = usage_of(place).size_bytes
    if size_bytes is None:
        projects = [place] if isinstance(place, Project) else Project.objects.within(place)
        size_bytes = 1 if ImageRepository.objects.filter(project__in=projects).exists() else 0
    if not size_bytes:
        return ""
    rows = UsagePlace.objects.filter(namespace__in=namespace_ids, hard_bytes__isnull=False, size_bytes__isnull=False)
    for row in rows.select_related("namespace").order_by("pk"):
        if (row.size_bytes or 0) + size_bytes > (row.hard_bytes or 0):
            return refusal_of_move(row.audit_name, row.size_bytes or 0, row.hard_bytes or 0)
    return ""


def _csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _line(row: UsagePlace) -> SizeRow:
    project = row.project
    if project is None:
        msg = "the report is of projects"
        raise RuntimeError(msg)
    return SizeRow(project.pk, project.creator_id, row.size_bytes or 0, project.full_path)
