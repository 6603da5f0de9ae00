"""Groups, projects and repositories that an address names, as far as the caller may see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db.models import Q
from django.http import Http404, HttpRequest
from django.utils import timezone

from moorage.control.api.api_refusals import unauthorized
from moorage.control.api.lookups import FoundGroup, FoundPlace, FoundProject
from moorage.control.images.models import ImageRepository
from moorage.control.namespaces.models import Namespace
from moorage.control.pages.requesting import requester_of
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel, ImageRight, image_rights, may_see_project
from moorage.control.projects.standings import known_since, standing_in_namespace, standing_in_project
from moorage.control.projects.visible_groups import groups_visible_to

AnyPlace = TypeVar("AnyPlace", bound=FoundPlace)

_PARTS_LIMIT = 30


@dataclass(frozen=True, slots=True)
class FoundImage:
    """A repository whose images the person may pull."""

    repository: ImageRepository
    found: FoundProject

    @property
    def rights(self) -> frozenset[ImageRight]:
        """All that the person may do with the images of the project."""
        return rights_in(self.found)


def project_at(request: HttpRequest, path: str) -> FoundProject:
    """Return the project at *path*.

    Raises:
        Http404: there is none, or the person is not told of it.
    """
    return _told_of(_project(request, path))


def maintained_project_at(request: HttpRequest, path: str) -> FoundProject:
    """Return the project at *path*, for a page of its maintainers.

    Raises:
        APIRefused: the person is none of them.
        Http404: there is none, or the person is not told of it.
    """
    found = project_at(request, path)
    if found.who.is_anonymous:
        raise unauthorized()
    found.see_that_maintainer()
    return found


def group_at(request: HttpRequest, path: str) -> FoundGroup:
    """Return the group at *path*.

    Raises:
        Http404: there is none, or the person is not told of it.
    """
    return _told_of(_group(request, path))


def place_at(request: HttpRequest, path: str) -> FoundProject | FoundGroup:
    """Return the project, the group, or the user's own namespace at *path*.

    Raises:
        Http404: there is none, or the person is not told of it.
    """
    found = _project(request, path) or _group(request, path) or _own_namespace(request, path)
    if found is None:
        raise Http404
    return found


def image_at(request: HttpRequest, path: str) -> FoundImage:
    """Return the repository at *path*, whose project has to have the feature on.

    Raises:
        Http404: there is none, or the person may not pull it.
    """
    parts = path.split("/")
    wanted = ["/".join(parts[:count]).lower() for count in range(2, min(len(parts), _PARTS_LIMIT) + 1)]
    rows = Project.objects.select_related("namespace", "creator", "container_expiration_policy")
    projects = [row for place in wanted for row in rows.at(place)[:1]]
    who = requester_of(request)
    # The longest first: a project may have the name that a repository of another would have.
    for project in reversed(projects):
        found = FoundProject(who, standing_in_project(who, project), project)
        name = path.lower()[len(project.full_path) :].lstrip("/")
        repository = ImageRepository.objects.of_project(project).filter(name=name).first()
        if repository is not None and ImageRight.READ in rights_in(found):
            repository.project = project
            return FoundImage(repository, found)
    raise Http404


def rights_in(found: FoundProject) -> frozenset[ImageRight]:
    """Return all that the person may do with the images of a project."""
    return image_rights(found.project.feature, found.project.shown_to, found.standing)


def sees_past(found: FoundProject) -> bool:
    """Return whether the person is shown what was done with the images: to those who pull as members."""
    standing = found.standing
    is_member = standing.is_admin or standing.role >= AccessLevel.REPORTER
    return is_member and ImageRight.READ in rights_in(found)


def told_since(image: FoundImage) -> datetime | None:
    """Return when the past of a repository begins that the person is told of; None: it is all of it."""
    return known_since(image.found.project, image.found.standing)


def _told_of(found: AnyPlace | None) -> AnyPlace:
    if found is None:
        raise Http404
    return found


def _project(request: HttpRequest, path: str) -> FoundProject | None:
    who = requester_of(request)
    rows = Project.objects.select_related("namespace", "creator", "container_expiration_policy")
    project = rows.at(path).first()
    if project is None:
        return None
    standing = standing_in_project(who, project)
    return FoundProject(who, standing, project) if may_see_project(project.shown_to, standing) else None


def _group(request: HttpRequest, path: str) -> FoundGroup | None:
    who = requester_of(request)
    rows = groups_visible_to(who.user, timezone.now().date())
    group = rows.at(path).select_related("parent").first()
    return FoundGroup(who, standing_in_namespace(who, group), group) if group is not None else None


def _own_namespace(request: HttpRequest, path: str) -> FoundGroup | None:
    """A user's namespace: for the user, administrators, and whoever sees a project in it."""
    who, today = requester_of(request), timezone.now().date()
    namespace = Namespace.objects.filter(~Q(owner=None)).at(path).first()
    if namespace is None:
        return None
    found = FoundGroup(who, standing_in_namespace(who, namespace), namespace)
    is_theirs = who.user is not None and (who.user.is_admin or who.user.namespace_id == namespace.pk)
    if is_theirs or Project.objects.visible_to(who.user, today).filter(namespace=namespace).exists():
        return found
    return None
