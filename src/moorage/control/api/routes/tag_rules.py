"""Rules that protect tags of a project; rules of immutable tags are not here.

Source: GitLab features TPR-001 to TPR-012.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from moorage.control.api.callers import CHANGES, SIGNED_IN
from moorage.control.api.lookups import FoundProject
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import Given, Id, LongText, Place
from moorage.control.api.rule_shapes import (
    LevelOrNone,
    RuleLevel,
    changes_in,
    project_to_protect,
    rule_of,
    rule_refusals,
    show_rule,
)
from moorage.control.api.shapes import answers
from moorage.control.protection.changes import change_tag_rule, create_tag_rule, delete_rule
from moorage.control.protection.models import ProtectedTagPattern

routes = Router(tags=["protection rules"])

_RULES = "/projects/{place}/registry/protection/tag/rules"
_RULE = _RULES + "/{protection_rule_id}"


class TagRuleShape(Schema):
    """A rule that protects tags."""

    id: int
    project_id: int
    tag_name_pattern: str
    minimum_access_level_for_push: str | None
    minimum_access_level_for_delete: str | None


class TagRuleToCreate(Given):
    """Values of a new rule."""

    tag_name_pattern: LongText = Field(description="RE2 that matches somewhere in the name.")
    minimum_access_level_for_push: RuleLevel
    minimum_access_level_for_delete: RuleLevel


class TagRuleChange(Given):
    """Values of a rule."""

    tag_name_pattern: LongText | None = None
    minimum_access_level_for_push: LevelOrNone | None = None
    minimum_access_level_for_delete: LevelOrNone | None = None


@routes.get(_RULES, auth=SIGNED_IN, response=answers(list[TagRuleShape], 405))
def list_tag_rules(request: HttpRequest, response: HttpResponse, place: Place, query: Query[PageQuery]) -> Any:  # noqa: ANN401
    """List a project's rules that protect tags; for maintainers."""
    rows = ProtectedTagPattern.objects.mutable().filter(project=project_to_protect(request, place).project)
    return [show_rule(row) for row in Paging(request, response).page(rows, query)]


@routes.post(_RULES, auth=CHANGES, response=answers(TagRuleShape, 422, 503, status=201))
def make_tag_rule(request: HttpRequest, place: Place, values: TagRuleToCreate) -> Any:  # noqa: ANN401
    """Protect tags; for maintainers."""
    found = project_to_protect(request, place)
    given = values.given()
    pattern = given.pop("tag_name_pattern")
    with rule_refusals():
        made = create_tag_rule(found.project, pattern, by=found.who.as_actor(), **given)
    return Status(201, show_rule(made))


@routes.patch(_RULE, auth=CHANGES, response=answers(TagRuleShape, 422))
def change_one_tag_rule(request: HttpRequest, place: Place, protection_rule_id: Id, values: TagRuleChange) -> Any:  # noqa: ANN401
    """Change a rule; for maintainers."""
    found = project_to_protect(request, place)
    row, given = _row(found, protection_rule_id), changes_in(values)
    with rule_refusals():
        return show_rule(change_tag_rule(row, by=found.who.as_actor(), **given))


@routes.delete(_RULE, auth=CHANGES, response=answers(None, status=204))
def delete_one_tag_rule(request: HttpRequest, place: Place, protection_rule_id: Id) -> Any:  # noqa: ANN401
    """Delete a rule; for maintainers."""
    found = project_to_protect(request, place)
    delete_rule(_row(found, protection_rule_id), by=found.who.as_actor())
    return Status(204, None)


def _row(found: FoundProject, rule_id: int) -> ProtectedTagPattern:
    """The rule; those of immutable tags are their owners' business, and not told of."""
    return rule_of(ProtectedTagPattern.objects.mutable(), found, rule_id, kind="Tag Protection Rule")
