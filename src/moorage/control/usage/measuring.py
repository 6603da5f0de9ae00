"""The job that measures what projects and namespaces take: soon after events, and once a day without.

The registry counts each layer once within the path that it is asked for. One without GitLab's API cannot say; then
manifests are read. Source: GitLab features DSK-001 to DSK-004.
"""

from datetime import datetime, timedelta

import structlog

from moorage.control.images.contents import ManifestContents, TooManyManifests
from moorage.control.images.models import ImageRepository
from moorage.control.jobs.loop import Turn
from moorage.control.jobs.walking import KeyWalk
from moorage.control.projects.models import Project
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.control.usage.changes import ensure_places_of, keep_size
from moorage.control.usage.models import UsagePlace
from moorage.errors import Refused

LEASE = timedelta(minutes=10)
AGAIN = timedelta(hours=12)
"""Twice a day, so that each day has a size however the hours fall."""
FAILURE_WAIT = timedelta(minutes=10)
_LOOKED_AT_ONCE = 500
_REASON_LIMIT = 1000

_LOG = structlog.get_logger("moorage.control.usage")


class UsageMeasurement:
    """The worker of sizes."""

    name = "usage"
    slots = 1

    def __init__(self) -> None:
        self._walk = KeyWalk(portion=_LOOKED_AT_ONCE, again=AGAIN)

    def step(self, turn: Turn) -> bool:
        """Measure the next place that is due."""
        started = turn.now
        has_more = self._begin_missing(started)
        row = UsagePlace.LEASE.take(
            UsagePlace.objects.select_related("project__namespace", "namespace"), now=started, until=started + LEASE
        )
        if row is None:
            return has_more
        try:
            size, precision = _measured(row)
        except (RegistryError, Refused) as exc:
            # What was measured last stays, with its moment. Trying again soon helps only with a registry that fails.
            wait = FAILURE_WAIT if isinstance(exc, RegistryError) else AGAIN
            UsagePlace.LEASE.settle(row, last_failure=str(exc)[:_REASON_LIMIT], due_at=turn.now + wait)
            _LOG.warning("a size could not be measured", place=row.audit_name, reason=str(exc)[:_REASON_LIMIT])
            return True
        if row.project is not None:
            # Namespaces above may have none yet: the project was moved, or is the first that is measured in them.
            ensure_places_of(row.project)
        before = row.quota_state
        if keep_size(row, size, precision, started=started, again=started + AGAIN):
            _say(row, before, size)
        return True

    def _begin_missing(self, now: datetime) -> bool:
        """Have rows of projects that have images and none, such as those from before there were sizes.

        Returns whether there may be more.
        """
        images = self._walk.next(ImageRepository.objects.only("project_id"), now)
        projects = Project.objects.filter(pk__in={image.project_id for image in images}, usage=None)
        for project in projects.select_related("namespace"):
            ensure_places_of(project)
        return len(images) == _LOOKED_AT_ONCE


def _measured(row: UsagePlace) -> tuple[int, str]:
    registry, path = the_registry(), row.place.full_path.lower()
    if registry.info().has_gitlab_api:
        state = registry.repository(path, size="self_with_descendants")
        return (0, "") if state is None else (state.size_bytes or 0, state.precision)
    return _summed(row), ""


def _summed(row: UsagePlace) -> int:
    """The sum over the layers that all tags need, each once."""
    if row.project is not None:
        repositories = ImageRepository.objects.of_project(row.project)
    else:
        lineage = row.namespace.lineage if row.namespace is not None else ""
        repositories = ImageRepository.objects.filter(project__namespace__lineage__startswith=lineage)
    found: dict[str, int] = {}
    for repository in repositories.select_related("project"):
        contents, registry = ManifestContents(repository.path), the_registry()
        digests = (registry.tag_digest(repository.path, name) for name in registry.tag_names(repository.path))
        try:
            found |= contents.of(digests).blobs
        except TooManyManifests:
            msg = f"{repository.path} has too many manifests to be read one by one, and the registry has no sizes"
            raise Refused(msg) from None
    return sum(found.values())


def _say(row: UsagePlace, before: str, size: int) -> None:
    state = row.limits.state_at(size)
    if state and state != before:
        _LOG.warning(
            "quota",
            place=row.audit_name,
            state=state.value,
            size_bytes=size,
            soft_bytes=row.soft_bytes,
            hard_bytes=row.hard_bytes,
        )
