"""The common part of pages of a project and of a group: crumbs, facts, tabs."""

from dataclasses import dataclass
from functools import partial

from django.utils.translation import gettext as _

from moorage.control.api.lookups import FoundGroup, FoundProject
from moorage.control.pages.places import FoundImage, rights_in, sees_past
from moorage.control.projects.rules import ImageRight, may_change_project, may_create_in, may_own


@dataclass(frozen=True, slots=True)
class Crumb:
    """A place above this one."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class PlaceTab:
    """A tab of a place."""

    word: str
    name: str
    address: str


def project_context(found: FoundProject, tab: str) -> dict[str, object]:
    """Return what pages of a project need."""
    project, standing = found.project, found.standing
    rights, tab_at = rights_in(found), partial(_tab_at, project.full_path)
    is_maintainer = may_change_project(standing) and not found.who.is_anonymous
    tabs = [tab_at("registry", _("Repositories"))] if ImageRight.READ in rights else []
    if not found.who.is_anonymous:
        tabs.append(tab_at("refused", _("Refused")))
    if is_maintainer:
        tabs += [tab_at("cleanup", _("Cleanup")), tab_at("protection", _("Protection")), tab_at("usage", _("Usage"))]
    if not found.who.is_anonymous:
        tabs.append(tab_at("members", _("Members")))
    if is_maintainer:
        tabs += [tab_at("tokens", _("Tokens")), tab_at("settings", _("Settings"))]
    return {
        "section": "projects",
        "project": project,
        "place": project,
        "crumbs": _crumbs(project.namespace.full_path),
        "standing": standing,
        "role": standing.role,
        "tabs": tabs,
        "tab": tab,
        "can_push": ImageRight.PUSH in rights,
        "can_delete": ImageRight.DELETE in rights,
        "can_administer": ImageRight.ADMINISTER in rights,
        "can_change": is_maintainer,
        "can_own": may_own(standing),
    }


def group_context(found: FoundGroup, tab: str) -> dict[str, object]:
    """Return what pages of a group, or of a user's own namespace, need."""
    group, tab_at = found.group, partial(_tab_at, found.group.full_path)
    tabs = [PlaceTab("content", _("Projects"), f"/{group.full_path}"), tab_at("registry", _("Repositories"))]
    if group.is_group and not found.who.is_anonymous:
        tabs.append(tab_at("members", _("Members")))
    if not found.who.is_anonymous and may_change_project(found.standing):
        tabs.append(tab_at("usage", _("Usage")))
    if group.is_group and may_own(found.standing):
        tabs += [tab_at("tokens", _("Tokens")), tab_at("settings", _("Settings"))]
    return {
        "section": "groups",
        "group": group,
        "place": group,
        "crumbs": _crumbs(group.full_path.rpartition("/")[0]),
        "standing": found.standing,
        "role": found.standing.role,
        "tabs": tabs,
        "tab": tab,
        "can_create": may_create_in(found.standing) and not found.who.is_anonymous,
        "can_change": group.is_group and may_own(found.standing),
    }


def place_context(found: FoundProject | FoundGroup, tab: str) -> dict[str, object]:
    """Return what pages of a place need."""
    return project_context(found, tab) if isinstance(found, FoundProject) else group_context(found, tab)


def image_context(image: FoundImage, tab: str) -> dict[str, object]:
    """Return what pages of a repository need."""
    repository = image.repository
    context = project_context(image.found, "registry")
    tab_at = partial(_tab_at, repository.path)
    tabs = [tab_at("tags", _("Tags"))]
    if sees_past(image.found):
        tabs.append(tab_at("timeline", _("Time line")))
    above = f"/{image.found.project.full_path}"
    tabs.append(tab_at("compare", _("Compare")))
    crumbs = [*_crumbs(image.found.project.namespace.full_path), Crumb(image.found.project.path, above)]
    found = {"repository": repository, "crumbs": crumbs, "tabs": tabs, "tab": tab}
    return context | found | {"sees_past": sees_past(image.found)}


def _tab_at(path: str, word: str, name: str) -> PlaceTab:
    return PlaceTab(word, name, f"/{path}/-/{word}")


def _crumbs(path: str) -> list[Crumb]:
    parts = path.split("/") if path else []
    return [Crumb(part, "/" + "/".join(parts[: number + 1])) for number, part in enumerate(parts)]
