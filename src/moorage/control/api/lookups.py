"""Things that a path names, found for a caller: what the caller is not told of is not there."""

from dataclasses import dataclass
from urllib.parse import quote, unquote

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.api.api_refusals import APIMoved, APIRefused, forbidden, not_found, unauthorized
from moorage.control.api.callers import caller
from moorage.control.api.parameters import ID_LIMIT
from moorage.control.api.site_address import site_url
from moorage.control.namespaces.models import Namespace
from moorage.control.namespaces.old_paths import project_once_at
from moorage.control.projects.models import Membership, Memberships, Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import Standing, may_change_project, may_own, may_see_project
from moorage.control.projects.standings import standing_in_namespace, standing_in_project
from moorage.control.projects.visible_groups import groups_visible_to


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A project or group that the caller is told of."""

    who: Requester
    standing: Standing

    def see_that_maintainer(self) -> None:
        """See that the caller may change a project, or look into a group's settings.

        Raises:
            APIRefused: not so.
        """
        _see(self.who, is_allowed=may_change_project(self.standing))

    def see_that_owner(self) -> None:
        """See that the caller may delete and move a project, or change a group and its members.

        Raises:
            APIRefused: not so.
        """
        _see(self.who, is_allowed=may_own(self.standing))


@dataclass(frozen=True, slots=True)
class FoundProject(FoundPlace):
    """A project that the caller is told of."""

    project: Project

    def own_members(self) -> Memberships:
        """Return the memberships of the project itself, ended ones too."""
        return Membership.objects.filter(project=self.project)

    def all_members(self) -> Memberships:
        """Return the memberships that count here today, of groups above too."""
        return Membership.objects.valid(timezone.now().date()).counting_for(self.project)


@dataclass(frozen=True, slots=True)
class FoundGroup(FoundPlace):
    """A group that the caller is told of."""

    group: Namespace

    def own_members(self) -> Memberships:
        """Return the memberships of the group itself, ended ones too."""
        return Membership.objects.filter(namespace=self.group)

    def all_members(self) -> Memberships:
        """Return the memberships that count here today, of groups above too."""
        return Membership.objects.valid(timezone.now().date()).above(self.group)


def project_of(request: HttpRequest, place: str) -> FoundProject:
    """Return the project that *place* names, by its id or by its path.

    Raises:
        APIRefused: the caller is not told of such a project, or would change one by a path that it has left.
        APIMoved: *place* is a path that it has left.
    """
    who, key = caller(request), _key(place)
    rows = Project.objects.select_related("namespace", "creator", "container_expiration_policy")
    found = (rows.filter(pk=key) if isinstance(key, int) else rows.at(key)).first()
    has_moved = found is None and isinstance(key, str)
    if found is None and isinstance(key, str):
        found = rows.filter(pk=project_once_at(key) or 0).first()
    standing = standing_in_project(who, found) if found is not None else None
    if found is None or standing is None or not may_see_project(found.shown_to, standing):
        raise not_found("Project")
    if has_moved:
        raise _moved(request, place, found)
    return FoundProject(who, standing, found)


def group_of(request: HttpRequest, place: str) -> FoundGroup:
    """Return the group that *place* names, by its id or by its path.

    Raises:
        APIRefused: the caller is not told of such a group.
    """
    who, key = caller(request), _key(place)
    rows = groups_visible_to(who.user if who.job_token is None else None, timezone.now().date())
    found = (rows.filter(pk=key) if isinstance(key, int) else rows.at(key)).select_related("parent").first()
    if found is None:
        raise not_found("Group")
    return FoundGroup(who, standing_in_namespace(who, found), found)


def see_that_registry_on() -> None:
    """See that the site has a registry: where it has none, nothing of it is there.

    Raises:
        APIRefused: ``registry.enabled`` is false.
    """
    if not settings.MOORAGE.configuration.registry.enabled:
        raise APIRefused(404, {"message": "404 Not Found"})


def target_of(found: FoundProject | FoundGroup) -> Project | Namespace:
    """Return the thing that was found."""
    return found.project if isinstance(found, FoundProject) else found.group


def row_of(rows: "QuerySet[User]", user_id: int) -> User:
    """Return the user of an id.

    Raises:
        APIRefused: there is none.
    """
    found = rows.filter(pk=user_id).first()
    if found is None:
        raise not_found("User")
    return found


def _see(who: Requester, *, is_allowed: bool) -> None:
    if is_allowed and who.job_token is None:
        return
    raise unauthorized() if who.is_anonymous else forbidden()


def _moved(request: HttpRequest, place: str, project: Project) -> APIMoved | APIRefused:
    """The answer to a path that a project has left. Source: GitLab ``lib/api/helpers.rb``."""
    if request.method != "GET":
        return APIRefused(405, {"message": "Non GET methods are not allowed for moved projects"})
    before, _, after = request.path.partition(f"/{place}")
    query = request.META.get("QUERY_STRING", "")
    path = quote(f"{before}/{project.pk}{after}", safe="/%")
    return APIMoved(f"{site_url(request)}{path}{'?' if query else ''}{query}")


def _key(place: str) -> int | str:
    """*place* as an id or a path. A path of digits alone can only be reached by its id, as in GitLab."""
    text = unquote(place)
    if text.isascii() and text.isdigit():
        return int(text) if len(text) < len(str(ID_LIMIT)) else 0
    return text
