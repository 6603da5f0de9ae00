"""Rules of a project as values, and people as rules see them."""

from moorage.control.projects.models import Project
from moorage.control.projects.rules import Standing
from moorage.control.protection.models import ProtectedTagPattern, RepositoryProtection
from moorage.control.protection.rules import Person, RepositoryRule, TagRule


def repository_rules(project: Project) -> list[RepositoryRule]:
    """Return a project's rules about repositories."""
    return [row.rule for row in RepositoryProtection.objects.filter(project=project)]


def tag_rules(project: Project) -> list[TagRule]:
    """Return a project's rules about tags, immutable ones with them."""
    return [row.rule for row in ProtectedTagPattern.objects.filter(project=project)]


def person_of(standing: Standing) -> Person | None:
    """Return someone as rules see them; None: a deploy token, or nobody."""
    return Person(int(standing.role), is_admin=standing.is_admin) if standing.is_user else None
