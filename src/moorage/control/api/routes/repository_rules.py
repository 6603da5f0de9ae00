"""Rules that protect repositories of a project. Source: GitLab features RPR-001 to RPR-008."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from moorage.control.api.api_refusals import bad_parameter, not_found
from moorage.control.api.callers import CHANGES, SIGNED_IN
from moorage.control.api.lookups import FoundProject, project_of, see_that_registry_on
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import Given, Id, LongText, Place
from moorage.control.api.rule_shapes import LevelOrNone, rule_refusals
from moorage.control.api.shapes import answers
from moorage.control.protection.changes import change_repository_rule, create_repository_rule, delete_rule
from moorage.control.protection.models import RepositoryProtection

routes = Router(tags=["protection rules"])

_RULES = "/projects/{place}/registry/protection/repository/rules"
_RULE = _RULES + "/{protection_rule_id}"


class RepositoryRuleShape(Schema):
    """A rule that protects repositories."""

    id: int
    project_id: int
    repository_path_pattern: str
    minimum_access_level_for_push: str | None
    minimum_access_level_for_delete: str | None


class RepositoryRuleChange(Given):
    """Values of a rule; an empty level unsets it."""

    repository_path_pattern: LongText | None = Field(None, description="`*` stands for anything.")
    minimum_access_level_for_push: LevelOrNone | None = None
    minimum_access_level_for_delete: LevelOrNone | None = None


class RepositoryRuleToCreate(RepositoryRuleChange):
    """Values of a new rule: a pattern and at least one level are needed."""

    repository_path_pattern: LongText = Field(description="The project's path, then what it may be.")


@routes.get(_RULES, auth=SIGNED_IN, response=answers(list[RepositoryRuleShape]))
def list_repository_rules(request: HttpRequest, response: HttpResponse, place: Place, query: Query[PageQuery]) -> Any:  # noqa: ANN401
    """List a project's rules that protect repositories; for maintainers."""
    rows = RepositoryProtection.objects.filter(project=_project(request, place).project)
    return [_shown(row) for row in Paging(request, response).numbered(rows, query)]


@routes.post(_RULES, auth=CHANGES, response=answers(RepositoryRuleShape, 422, status=201))
def make_repository_rule(request: HttpRequest, place: Place, values: RepositoryRuleToCreate) -> Any:  # noqa: ANN401
    """Protect repositories; for maintainers."""
    found = _project(request, place)
    given = values.given()
    pattern = given.pop("repository_path_pattern")
    with rule_refusals():
        made = create_repository_rule(found.project, pattern, by=found.who.as_actor(), **given)
    return Status(201, _shown(made))


@routes.patch(_RULE, auth=CHANGES, response=answers(RepositoryRuleShape, 422))
def change_one_repository_rule(
    request: HttpRequest, place: Place, protection_rule_id: Id, values: RepositoryRuleChange
) -> Any:  # noqa: ANN401
    """Change a rule; for maintainers."""
    found = _project(request, place)
    row, given = _row(found, protection_rule_id), values.given()
    if not given:
        raise bad_parameter("at least one parameter must be provided")
    with rule_refusals():
        return _shown(change_repository_rule(row, by=found.who.as_actor(), **given))


@routes.delete(_RULE, auth=CHANGES, response=answers(None, status=204))
def delete_one_repository_rule(request: HttpRequest, place: Place, protection_rule_id: Id) -> Any:  # noqa: ANN401
    """Delete a rule; for maintainers."""
    found = _project(request, place)
    delete_rule(_row(found, protection_rule_id), by=found.who.as_actor())
    return Status(204, None)


def _project(request: HttpRequest, place: str) -> FoundProject:
    see_that_registry_on()
    found = project_of(request, place)
    found.see_that_maintainer()
    return found


def _row(found: FoundProject, rule_id: int) -> RepositoryProtection:
    row = RepositoryProtection.objects.filter(project=found.project, pk=rule_id).first()
    if row is None:
        raise not_found("Repository Protection Rule")
    row.project = found.project
    return row


def _shown(row: RepositoryProtection) -> dict[str, Any]:
    return {
        "id": row.pk,
        "project_id": row.project_id,
        "repository_path_pattern": row.repository_path_pattern,
        "minimum_access_level_for_push": row.minimum_access_level_for_push or None,
        "minimum_access_level_for_delete": row.minimum_access_level_for_delete or None,
    }
