"""Parts that the routes of both kinds of protection rules share; refusals are 422, with whole sentences.

Source: GitLab features RPR-008, TPR-012.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from django.db.models import QuerySet
from django.http import HttpRequest

from moorage.control.api.api_refusals import APIRefused, bad_parameter, not_found
from moorage.control.api.lookups import FoundProject, project_of, see_that_registry_on
from moorage.control.api.parameters import Given
from moorage.control.protection.models import ProtectedTagPattern, RepositoryProtection
from moorage.control.refusals import ChangeRefused

RuleLevel = Literal["maintainer", "owner", "admin"]
LevelOrNone = Literal["", "maintainer", "owner", "admin"]
"""A level; an empty text unsets it."""
AnyRow = TypeVar("AnyRow", RepositoryProtection, ProtectedTagPattern)


def project_to_protect(request: HttpRequest, place: str) -> FoundProject:
    """Return the project whose rules the caller may see and change.

    Raises:
        APIRefused: there is no registry, the caller is not told of such a project, or is no maintainer of it.
    """
    see_that_registry_on()
    found = project_of(request, place)
    found.see_that_maintainer()
    return found


def rule_of(rows: QuerySet[AnyRow], found: FoundProject, rule_id: int, *, kind: str) -> AnyRow:
    """Return a rule of a project; *kind*: the name of such rules, for what is said where there is none.

    Raises:
        APIRefused: there is none.
    """
    row = rows.filter(project=found.project, pk=rule_id).first()
    if row is None:
        raise not_found(kind)
    row.project = found.project
    return row


def changes_in(values: Given) -> dict[str, Any]:
    """Return what is to be changed.

    Raises:
        APIRefused: nothing is.
    """
    given = values.given()
    if not given:
        msg = "at least one parameter must be provided"
        raise bad_parameter(msg)
    return given


def show_rule(row: RepositoryProtection | ProtectedTagPattern) -> dict[str, Any]:
    """Return a rule as it is answered."""
    return {
        "id": row.pk,
        "project_id": row.project_id,
        row.pattern_field: row.audit_name,
        "minimum_access_level_for_push": row.minimum_access_level_for_push or None,
        "minimum_access_level_for_delete": row.minimum_access_level_for_delete or None,
    }


@contextmanager
def rule_refusals() -> Iterator[None]:
    """Answer 422 where a rule cannot be as it was asked for.

    Raises:
        APIRefused: it cannot.
    """
    try:
        yield
    except ChangeRefused as exc:
        raise APIRefused(422, {"error": list(_sentences(exc))}) from None


def _sentences(exc: ChangeRefused) -> Iterator[str]:
    for field, said in exc.problems.items():
        for text in said:
            yield text if field == "base" else f"{field.replace('_', ' ').capitalize()} {text}"
