"""Repositories of the registry and their tags: listed, shown, deleted. Source: GitLab features RST-001 to RST-011."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from moorage.control.api.api_refusals import APIRefused, bad_parameter, forbidden, not_found, unauthorized
from moorage.control.api.callers import CHANGES_IMAGES, READS_IMAGES, SIGNED_IN, caller
from moorage.control.api.lookups import FoundProject, group_of, project_of, see_that_registry_on
from moorage.control.api.paging import TOTAL_LIMIT, NumberQuery, PageQuery, Paging
from moorage.control.api.parameters import Given, Id, Place, ShortText
from moorage.control.api.shapes import Moment, answers
from moorage.control.images.changes import delete_tag, ensure_root_repository, schedule_deletion
from moorage.control.images.models import ImageRepositories, ImageRepository
from moorage.control.images.questions import state_of, tag_details, tag_names, tags_by_key, tags_by_offset, tags_count
from moorage.control.images.readable import readable_by
from moorage.control.policies.changes import request_bulk_deletion
from moorage.control.projects.rules import ImageRight, image_rights
from moorage.control.protection.questions import person_of
from moorage.control.registry.registry_errors import RegistryIsOther

routes = Router(tags=["container registry"])


class TagShape(Schema):
    """A tag in short."""

    name: str
    path: str
    location: str


class TagDetailsShape(TagShape):
    """A tag."""

    revision: str | None
    short_revision: str | None
    digest: str | None
    created_at: Moment | None
    total_size: int | None


class RepositoryShape(Schema):
    """A repository."""

    id: int
    name: str
    path: str
    project_id: int
    location: str
    created_at: Moment
    cleanup_policy_started_at: Moment | None
    status: str | None
    tags_count: int | None = None
    tags: list[TagShape] | None = None
    delete_api_path: str | None = None
    size: int | None = None


class RepositoriesQuery(PageQuery):
    """Parameters of a list of repositories."""

    tags: bool = Field(False, description="With the tags of each.")
    tags_count: bool = Field(False, description="With the number of tags of each.")


class RepositoryQuery(Given):
    """Parameters of a repository."""

    tags: bool = Field(False, description="With its tags.")
    tags_count: bool = Field(False, description="With the number of its tags.")
    size: bool = Field(False, description="With its size in bytes, each layer counted once.")


class TagsQuery(NumberQuery):
    """Parameters of a list of tags."""

    sort: Literal["asc", "desc"] = Field("asc", description="With keyset pagination.")
    last: ShortText = Field("", description="With keyset pagination: the tag after which the page begins.")


class BulkValues(Given):
    """PolicySelection of the tags to delete: ``name_regex_delete`` is needed."""

    name_regex_delete: ShortText | None = Field(None, description="RE2 that the whole name matches; `.*`: all.")
    name_regex: ShortText | None = Field(None, description="The older name of name_regex_delete.")
    name_regex_keep: ShortText = Field("", description="Tags that this matches stay.")
    keep_n: int | None = Field(None, ge=0, le=1 << 31, description="So many of the newest stay.")
    older_than: ShortText = Field("", description="Only those older than this: `1h`, `1d`, `1month`.")


@dataclass(frozen=True, slots=True)
class _Image:
    repository: ImageRepository
    found: FoundProject


_REPOSITORY = "/projects/{place}/registry/repositories/{repository_id}"


@routes.get(
    "/projects/{place}/registry/repositories",
    auth=READS_IMAGES,
    response=answers(list[RepositoryShape], 405, 503),
    exclude_unset=True,
)
def list_repositories_of_project(
    request: HttpRequest, response: HttpResponse, place: Place, query: Query[RepositoriesQuery]
) -> Any:  # noqa: ANN401
    """List a project's repositories."""
    found = _project(request, place, ImageRight.READ)
    ensure_root_repository(found.project)
    rows = ImageRepository.objects.of_project(found.project).select_related("project")
    return _listed(request, response, rows, query)


@routes.get(
    "/groups/{place}/registry/repositories",
    auth=READS_IMAGES,
    response=answers(list[RepositoryShape], 405, 503),
    exclude_unset=True,
)
def list_repositories_of_group(
    request: HttpRequest, response: HttpResponse, place: Place, query: Query[PageQuery]
) -> Any:  # noqa: ANN401
    """List the repositories of a group and of the groups below it, as far as the caller may pull them."""
    see_that_registry_on()
    found = group_of(request, place)
    rows, who = ImageRepository.objects.of_group(found.group), found.who.user if found.who.job_token is None else None
    return _listed(request, response, readable_by(rows, who), query)


@routes.get(
    "/registry/repositories/{repository_id}",
    auth=SIGNED_IN,
    response=answers(RepositoryShape, 503),
    exclude_unset=True,
)
def show_repository(request: HttpRequest, repository_id: Id, query: Query[RepositoryQuery]) -> Any:  # noqa: ANN401
    """Show a repository."""
    see_that_registry_on()
    repository = ImageRepository.objects.filter(pk=repository_id).select_related("project").first()
    # Of none and of one that the caller is not told of the same is said.
    hidden = not_found("Container Repository")
    if repository is None:
        raise hidden
    try:
        found = _project(request, str(repository.project_id), ImageRight.READ)
    except APIRefused as exc:
        raise (hidden if exc.status == hidden.status else exc) from None
    shown = _shown(repository, has_tags=query.tags, has_count=query.tags_count)
    if ImageRight.ADMINISTER in _rights(found):
        shown["delete_api_path"] = f"/api/v4/projects/{repository.project_id}/registry/repositories/{repository.pk}"
    if query.size:
        state = state_of(repository)
        shown["size"] = state.size_bytes if state is not None else None
    return shown


@routes.delete(_REPOSITORY, auth=CHANGES_IMAGES, response=answers(None, 503, status=202))
def delete_repository(request: HttpRequest, place: Place, repository_id: Id) -> Any:  # noqa: ANN401
    """Delete a repository with all its tags; a job does it."""
    image = _image(request, place, repository_id, ImageRight.ADMINISTER)
    schedule_deletion(image.repository, by=image.found.who.as_actor(), person=person_of(image.found.standing))
    return Status(202, None)


@routes.get(_REPOSITORY + "/tags", auth=READS_IMAGES, response=answers(list[TagShape], 405, 503))
def list_tags(
    request: HttpRequest, response: HttpResponse, place: Place, repository_id: Id, query: Query[TagsQuery]
) -> Any:  # noqa: ANN401
    """List a repository's tags by name."""
    repository = _image(request, place, repository_id, ImageRight.READ).repository
    paging = Paging(request, response)
    if query.pagination != "keyset":
        paging.see_that_near(query, "Tag")
        page = tags_by_offset(repository, page=query.page, per_page=query.size, count_limit=TOTAL_LIMIT)
        paging.set_headers(query, page.total, has_next=page.has_next)
        return _tags(repository, page.names)
    try:
        found = tags_by_key(repository, per_page=query.size, sort=query.sort, last=query.last)
    except RegistryIsOther:
        text = "Keyset pagination is not supported by the container registry"
        raise APIRefused(405, {"message": text}) from None
    if found.after:
        paging.link({"last": found.after, "per_page": str(query.size)})
    return _tags(repository, [tag.name for tag in found.tags])


@routes.delete(_REPOSITORY + "/tags", auth=CHANGES_IMAGES, response=answers(None, 503, status=202))
def delete_many_tags(request: HttpRequest, place: Place, repository_id: Id, values: BulkValues) -> Any:  # noqa: ANN401
    """Delete many tags, at most once an hour; a job does it. ``latest`` stays."""
    image = _image(request, place, repository_id, ImageRight.ADMINISTER)
    pattern = values.name_regex_delete or values.name_regex
    if not pattern:
        raise bad_parameter("name_regex_delete, name_regex are missing, at least one parameter must be provided")
    request_bulk_deletion(
        image.repository,
        by=image.found.who.as_actor(),
        person=person_of(image.found.standing),
        name_regex_delete=pattern,
        name_regex_keep=values.name_regex_keep,
        keep_n=values.keep_n,
        older_than=values.older_than,
    )
    return Status(202, None)


@routes.get(_REPOSITORY + "/tags/{tag}", auth=READS_IMAGES, response=answers(TagDetailsShape, 503))
def show_tag(request: HttpRequest, place: Place, repository_id: Id, tag: ShortText) -> Any:  # noqa: ANN401
    """Show a tag."""
    repository = _image(request, place, repository_id, ImageRight.READ).repository
    found = tag_details(repository, tag)
    if found is None:
        raise not_found("Tag")
    return _tags(repository, [found.name])[0] | {
        "revision": found.revision or None,
        "short_revision": found.short_revision or None,
        "digest": found.digest or None,
        "created_at": found.created_at,
        "total_size": found.size_bytes,
    }


@routes.delete(_REPOSITORY + "/tags/{tag}", auth=CHANGES_IMAGES, response=answers(None, 503))
def delete_one_tag(request: HttpRequest, place: Place, repository_id: Id, tag: ShortText) -> Any:  # noqa: ANN401
    """Delete a tag."""
    image = _image(request, place, repository_id, ImageRight.DELETE)
    delete_tag(image.repository, tag, by=image.found.who.as_actor(), person=person_of(image.found.standing))
    return Status(200, None)


def _project(request: HttpRequest, place: str, right: ImageRight) -> FoundProject:
    """The project, whose images the caller has *right* over."""
    see_that_registry_on()
    found = project_of(request, place)
    if right not in _rights(found):
        raise unauthorized() if caller(request).is_anonymous else forbidden()
    return found


def _rights(found: FoundProject) -> frozenset[ImageRight]:
    return image_rights(found.project.feature, found.project.shown_to, found.standing)


def _image(request: HttpRequest, place: str, repository_id: int, right: ImageRight) -> _Image:
    found = _project(request, place, right)
    repository = ImageRepository.objects.of_project(found.project).filter(pk=repository_id).first()
    if repository is None:
        raise not_found("Container Repository")
    repository.project = found.project
    return _Image(repository, found)


def _listed(request: HttpRequest, response: HttpResponse, rows: ImageRepositories, query: PageQuery) -> list[Any]:
    page = Paging(request, response).page(rows.order_by("pk"), query)
    has_tags = isinstance(query, RepositoriesQuery) and query.tags
    has_count = isinstance(query, RepositoriesQuery) and query.tags_count
    return [_shown(repository, has_tags=has_tags, has_count=has_count) for repository in page]


def _shown(repository: ImageRepository, *, has_tags: bool, has_count: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": repository.pk,
        "name": repository.name,
        "path": repository.path,
        "project_id": repository.project_id,
        "location": repository.location,
        "created_at": repository.created_at,
        "cleanup_policy_started_at": repository.expiration_policy_started_at,
        "status": repository.status or None,
    }
    if has_tags:
        shown["tags"] = _tags(repository, tag_names(repository))
    if has_count:
        shown["tags_count"] = len(shown["tags"]) if has_tags else tags_count(repository)
    return shown


def _tags(repository: ImageRepository, names: Sequence[str]) -> list[dict[str, Any]]:
    path, location = repository.path, repository.location
    return [{"name": name, "path": f"{path}:{name}", "location": f"{location}:{name}"} for name in names]
