"""Cleanup policies beyond what GitLab's API has: their preview, a run at once, reports, and the way back."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from moorage.control.api.api_refusals import not_found
from moorage.control.api.callers import CHANGES, SIGNED_IN
from moorage.control.api.lookups import FoundProject, project_of, see_that_registry_on
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import Given, Id, Place
from moorage.control.api.policy_shapes import PolicyRules, policy_or_defaults
from moorage.control.api.shapes import Moment, answers
from moorage.control.images.models import ImageRepository
from moorage.control.policies.changes import run_now
from moorage.control.policies.models import CleanupRun
from moorage.control.policies.previews import CleanupPreview, preview_cleanups
from moorage.control.policies.undoing import UndoneTags, undo_run
from moorage.control.protection.questions import person_of
from moorage.control.protection.rules import Person

routes = Router(tags=["cleanup policies"])

_POLICY = "/projects/{place}/moorage/cleanup_policy"
_RUN = _POLICY + "/runs/{run_id}"


class PreviewQuery(PageQuery, PolicyRules):
    """Parameters of a preview: rules that are given stand in for those of the policy."""


class PreviewedTagShape(Schema):
    """A tag, and the rule that keeps or deletes it."""

    name: str
    published_at: Moment | None
    is_deleted: bool
    rule: str = Field(description="`deleted`, or the rule that keeps it.")
    explanation: str


class PreviewShape(Schema):
    """The preview for one repository."""

    repository_id: int
    path: str
    tags_count: int
    deleted_count: int
    freed_bytes: int | None = Field(description="Bytes that would come free; null: not counted, as it is too much.")
    is_freed_exact: bool = Field(description="False: `freed_bytes` is the most that can come free.")
    tags: list[PreviewedTagShape]


class RunUndoShape(Schema):
    """The job that brings back the tags of a run, with numbers of tags."""

    total: int
    seen: int = Field(description="Tags that were looked at.")
    restored: int
    there: int
    gone: int
    protected: int
    message: str = Field(description="The reason why it waits or has ended early.")
    started_at: Moment
    finished_at: Moment | None


class RunShape(Schema):
    """The report of a run over one repository."""

    id: int
    kind: str
    repository_id: int | None
    repository_path: str
    requested_by: str
    selection: dict[str, str | int | None]
    outcome: str
    message: str
    original_size: int
    before_delete_size: int
    deleted_size: int
    kept: dict[str, int]
    started_at: Moment
    finished_at: Moment | None
    undo: RunUndoShape | None = Field(None, description="Null: no undo of it took a job.")


class CleanedTagShape(Schema):
    """A tag that a run deleted."""

    name: str
    digest: str
    published_at: Moment | None


class UndoneShape(Schema):
    """The tags of a run that was undone, by what became of them: those that were looked at at once."""

    restored: list[str]
    there: list[str]
    gone: list[str]
    protected: list[str]
    left: int = Field(description="Tags that a job goes on with; `undo` of the report has how far it is.")


class RunAcceptedShape(Given):
    """The word that the run begins when a worker is free."""

    message: str = "202 Accepted"


@routes.get(_POLICY + "/preview", auth=SIGNED_IN, response=answers(list[PreviewShape], 405, 503))
def preview_policy(request: HttpRequest, response: HttpResponse, place: Place, query: Query[PreviewQuery]) -> Any:  # noqa: ANN401
    """Show what the policy would do to each repository; for maintainers. Nothing is deleted."""
    found = _project(request, place)
    policy = policy_or_defaults(found.project)
    for name, value in query.changes().items():
        if name not in PageQuery.model_fields:
            setattr(policy, name, value)
    rows = ImageRepository.objects.of_project(found.project).select_related("project").order_by("pk")
    page = Paging(request, response).page(rows, query)
    return [_preview(found) for found in preview_cleanups(page, policy.selection).previews]


@routes.post(_POLICY + "/run", auth=CHANGES, response=answers(RunAcceptedShape, status=202))
def run_policy(request: HttpRequest, place: Place) -> Any:  # noqa: ANN401
    """Have the policy run as soon as a worker is free; for maintainers."""
    found = _project(request, place)
    run_now(found.project, by=found.who.as_actor())
    return Status(202, RunAcceptedShape())


@routes.get(_POLICY + "/runs", auth=SIGNED_IN, response=answers(list[RunShape], 405))
def list_policy_runs(request: HttpRequest, response: HttpResponse, place: Place, query: Query[PageQuery]) -> Any:  # noqa: ANN401
    """List the reports of runs, newest first; for maintainers."""
    rows = CleanupRun.objects.filter(project=_project(request, place).project).select_related("undo")
    return Paging(request, response).page(rows, query)


@routes.get(_RUN, auth=SIGNED_IN, response=answers(RunShape))
def show_policy_run(request: HttpRequest, place: Place, run_id: Id) -> Any:  # noqa: ANN401
    """Show the report of a run; for maintainers."""
    return _run(_project(request, place), run_id)


@routes.get(_RUN + "/tags", auth=SIGNED_IN, response=answers(list[CleanedTagShape], 405))
def list_tags_of_policy_run(
    request: HttpRequest, response: HttpResponse, place: Place, run_id: Id, query: Query[PageQuery]
) -> Any:  # noqa: ANN401
    """List the tags that a run deleted; for maintainers."""
    run = _run(_project(request, place), run_id)
    return Paging(request, response).page(run.deleted_tags.all(), query)


@routes.post(_RUN + "/undo", auth=CHANGES, response=answers(UndoneShape, 503))
def undo_policy_run(request: HttpRequest, place: Place, run_id: Id) -> Any:  # noqa: ANN401
    """Bring back the tags that a run deleted, as far as garbage collection has left them; for maintainers.

    The first 200 at once; a job brings back the others, which `left` counts.
    """
    found = _project(request, place)
    undone: UndoneTags = undo_run(_run(found, run_id), by=found.who.as_actor(), person=_person(found))
    return undone


def _project(request: HttpRequest, place: str) -> FoundProject:
    see_that_registry_on()
    found = project_of(request, place)
    found.see_that_maintainer()
    return found


def _person(found: FoundProject) -> Person:
    # A maintainer is always a person: deploy tokens and nobody have been refused.
    return person_of(found.standing) or Person(0)


def _run(found: FoundProject, run_id: int) -> CleanupRun:
    run = (
        CleanupRun.objects.filter(project=found.project, pk=run_id)
        .select_related("repository__project", "undo")
        .first()
    )
    if run is None:
        raise not_found("Cleanup Run")
    return run


def _preview(found: CleanupPreview) -> dict[str, Any]:
    return {
        "repository_id": found.repository.pk,
        "path": found.repository.path,
        "tags_count": found.judged.original_size,
        "deleted_count": len(found.judged.deleted),
        "freed_bytes": found.freed.count,
        "is_freed_exact": found.freed.is_exact,
        "tags": [
            {
                "name": tag.name,
                "published_at": tag.moment,
                "is_deleted": tag.is_deleted,
                "rule": tag.verdict.value,
                "explanation": tag.explanation,
            }
            for tag in found.judged.verdicts
        ],
    }
