"""Sizes and quotas beyond what GitLab's API has: the report, the history by day, and the limits of a place."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from moorage.control.api.callers import CHANGES, SIGNED_IN, caller, see_that_admin
from moorage.control.api.lookups import target_of
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import OwnValues, Place
from moorage.control.api.place_routes import on_both, place_of
from moorage.control.api.shapes import Day, Moment, answers
from moorage.control.usage.changes import change_quota
from moorage.control.usage.models import DailyUsage, UsagePlace
from moorage.control.usage.questions import projects_with_sizes, size_line, size_report_as_csv, usage_of
from moorage.control.usage.rules import BYTES_LIMIT

routes = Router(tags=["usage"])


class SizeShape(Schema):
    """The size of a project that takes room."""

    project_id: int
    creator_id: int | None
    registry_size_bytes: int
    path: str


class SizesQuery(PageQuery):
    """Parameters of the report of sizes."""

    format: Literal["", "json", "csv"] = Field(
        "", description="`csv`: the whole report as CSV, without pages, as with the header `Accept: text/csv`."
    )


class UsageShape(Schema):
    """The size of a project or group, and its quotas."""

    path: str
    size_bytes: int | None = Field(description="Null: it was not measured yet.")
    precision: str
    measured_at: Moment | None
    soft_bytes: int | None
    hard_bytes: int | None
    warning_percent: int
    quota_state: str = Field(description="Empty, `warning`, `soft` or `hard`.")


class DayShape(Schema):
    """A size on one day."""

    day: Day
    size_bytes: int


_TYPES = ["application/json", "text/csv"]
_Bytes = Annotated[int, Field(ge=0, le=BYTES_LIMIT)]


class QuotaValues(OwnValues):
    """Quotas; null is no quota."""

    soft_bytes: _Bytes | None = Field(None, description="Above it, it is said and nothing is refused.")
    hard_bytes: _Bytes | None = Field(None, description="Above it, pushes are refused.")
    warning_percent: Annotated[int, Field(ge=1, le=100)] = Field(80, description="Of the lower quota.")


_AS_CSV: Mapping[str, Any] = {"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}}


_SIZES = answers(list[SizeShape], 405)


@routes.get("/moorage/usage/projects", auth=SIGNED_IN, response=_SIZES, openapi_extra=dict(_AS_CSV))
def list_project_sizes(request: HttpRequest, response: HttpResponse, query: Query[SizesQuery]) -> Any:  # noqa: ANN401
    """List the projects that take room, the largest first, as JSON or as CSV; for administrators."""
    see_that_admin(request)
    if query.format == "csv" or (not query.format and request.get_preferred_type(_TYPES) == "text/csv"):
        return StreamingHttpResponse(size_report_as_csv(), content_type="text/csv; charset=utf-8")
    rows = projects_with_sizes().select_related("project")
    return [size_line(row) for row in Paging(request, response).page(rows, query)]


@on_both(routes, "GET", "/moorage/usage", auth=SIGNED_IN, response=answers(UsageShape))
def show_usage(request: HttpRequest, place: Place) -> Any:  # noqa: ANN401
    """Show the size and the quotas of a project or group; for maintainers."""
    return _shown(_usage(request, place))


@on_both(routes, "GET", "/moorage/usage/days", auth=SIGNED_IN, response=answers(list[DayShape], 405))
def list_days(request: HttpRequest, response: HttpResponse, place: Place, query: Query[PageQuery]) -> Any:  # noqa: ANN401
    """List the sizes of a project or group by day, newest first; for maintainers."""
    rows = Paging(request, response).page(_days_of(_usage(request, place)), query)
    return [{"day": row.day, "size_bytes": row.size_bytes} for row in rows]


@on_both(routes, "PUT", "/moorage/quota", auth=CHANGES, response=answers(UsageShape))
def set_quota(request: HttpRequest, place: Place, values: QuotaValues) -> Any:  # noqa: ANN401
    """Change the quotas of a project or group; for administrators."""
    see_that_admin(request)
    changes = values.model_dump(exclude_unset=True)
    return _shown(change_quota(target_of(place_of(request, place)), by=caller(request).as_actor(), **changes))


def _usage(request: HttpRequest, place: str) -> UsagePlace:
    found = place_of(request, place)
    found.see_that_maintainer()
    return usage_of(target_of(found))


def _days_of(row: UsagePlace) -> QuerySet[DailyUsage]:
    return DailyUsage.objects.filter(place_id=row.pk)


def _shown(row: UsagePlace) -> dict[str, Any]:
    return {
        "path": row.audit_name,
        "size_bytes": row.size_bytes,
        "precision": row.precision,
        "measured_at": row.measured_at,
        "soft_bytes": row.soft_bytes,
        "hard_bytes": row.hard_bytes,
        "warning_percent": row.warning_percent,
        "quota_state": row.state.value,
    }
