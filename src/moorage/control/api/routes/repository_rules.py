"""Rules that protect repositories of a project. Source: GitLab features RPR-001 to RPR-008."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from moorage.control.api.api_refusals import bad_parameter
from moorage.control.api.callers import CHANGES, SIGNED_IN
from moorage.control.api.lookups import FoundProject
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import Given, Id, LongText, Place
from moorage.control.api.rule_shapes import (
    LevelOrNone,
    changes_in,
    project_to_protect,
    rule_of,
    rule_refusals,
    show_rule,
)
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


@routes.get(_RULES, auth=SIGNED_IN, response=answers(list[RepositoryRuleShape], 405))
def list_repository_rules(request: HttpRequest, response: HttpResponse, place: Place, query: Query[PageQuery]) -> Any:  # noqa: ANN401
    """List a project's rules that protect repositories; for maintainers."""
    rows = RepositoryProtection.objects.filter(project=project_to_protect(request, place).project)
    return [show_rule(row) for row in Paging(request, response).page(rows, query)]


@routes.post(_RULES, auth=CHANGES, response=answers(RepositoryRuleShape, 422, status=201))
def make_repository_rule(request: HttpRequest, place: Place, values: RepositoryRuleToCreate) -> Any:  # noqa: ANN401
    """Protect repositories; for maintainers."""
    found = project_to_protect(request, place)
    given = values.given()
    pattern = given.pop("repository_path_pattern")
    if not given:
        names = "minimum_access_level_for_push, minimum_access_level_for_delete"
        raise bad_parameter(f"{names} are missing, at least one parameter must be provided")
    with rule_refusals():
        made = create_repository_rule(found.project, pattern, by=found.who.as_actor(), **given)
    return Status(201, show_rule(made))


@routes.patch(_RULE, auth=CHANGES, response=answers(RepositoryRuleShape, 422))
def change_one_repository_rule(
    request: HttpRequest, place: Place, protection_rule_id: Id, values: RepositoryRuleChange
) -> Any:  # noqa: ANN401
    """Change a rule; for maintainers."""
    found = project_to_protect(request, place)
    row, given = _row(found, protection_rule_id), changes_in(values)
    with rule_refusals():
        return show_rule(change_repository_rule(row, by=found.who.as_actor(), **given))


@routes.delete(_RULE, auth=CHANGES, response=answers(None, status=204))
def delete_one_repository_rule(request: HttpRequest, place: Place, protection_rule_id: Id) -> Any:  # noqa: ANN401
    """Delete a rule; for maintainers."""
    found = project_to_protect(request, place)
    delete_rule(_row(found, protection_rule_id), by=found.who.as_actor())
    return Status(204, None)


def _row(found: FoundProject, rule_id: int) -> RepositoryProtection:
    return rule_of(RepositoryProtection.objects.all(), found, rule_id, kind="Repository Protection Rule")
