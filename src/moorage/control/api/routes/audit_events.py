"""The audit log over the API, in the shape of GitLab's audit events. Nothing here changes it."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from moorage.control.api.api_refusals import not_found
from moorage.control.api.callers import SIGNED_IN, see_that_admin
from moorage.control.api.lookups import FoundProject, target_of
from moorage.control.api.paging import KeysetQuery, Paging
from moorage.control.api.parameters import ID_LIMIT, Id, Instant, Place
from moorage.control.api.place_routes import on_both, place_of, see_that_manager
from moorage.control.api.shapes import Moment, answers
from moorage.control.audit.models import AuditEntry, AuditRows, EntityKind

routes = Router(tags=["audit events"])

_ENTITIES = {
    "User": EntityKind.USER,
    "Group": EntityKind.GROUP,
    "Project": EntityKind.PROJECT,
    "Gitlab::Audit::InstanceScope": EntityKind.INSTANCE,
}
_NAMES = {kind.value: name for name, kind in _ENTITIES.items()}
_PAIR = 2


class AuditQuery(KeysetQuery):
    """Parameters of a list of audit events."""

    created_after: Instant | None = Field(None, description="Only those from then on.")
    created_before: Instant | None = Field(None, description="Only those before then.")
    order_by: Literal["id"] = "id"
    sort: Literal["asc", "desc"] | None = "desc"


class AllAuditQuery(AuditQuery):
    """Parameters of the list of all audit events."""

    entity_type: Literal["User", "Group", "Project", "Gitlab::Audit::InstanceScope"] | None = None
    entity_id: Annotated[int, Field(ge=0, le=ID_LIMIT)] | None = Field(None, description="Needs entity_type.")


class AuditDetailsShape(Schema):
    """The details of a change, by GitLab's names; ``changes`` has every value that was changed, before and after."""

    author_name: str
    author_class: str
    target_id: int | None
    target_type: str
    target_details: str
    custom_message: str
    ip_address: str | None
    entity_path: str
    credential: str
    change: str | None = None
    from_value: Any = Field(None, serialization_alias="from", validation_alias="from")
    to_value: Any = Field(None, serialization_alias="to", validation_alias="to")
    changes: dict[str, Any]


class AuditEventShape(Schema):
    """A change that was made."""

    id: int
    author_id: int
    entity_id: int
    entity_type: str
    details: AuditDetailsShape
    created_at: Moment
    event_name: str


_LIST = answers(list[AuditEventShape], 405)
_ONE = answers(AuditEventShape)


@routes.get("/audit_events", auth=SIGNED_IN, response=_LIST, by_alias=True)
def list_audit_events(request: HttpRequest, response: HttpResponse, query: Query[AllAuditQuery]) -> Any:  # noqa: ANN401
    """List every change that was made, newest first; for administrators."""
    see_that_admin(request)
    rows = AuditEntry.objects.all()
    if query.entity_type is not None:
        rows = rows.about(_ENTITIES[query.entity_type], query.entity_id or None)
    return _listed(request, response, rows, query)


@routes.get("/audit_events/{event_id}", auth=SIGNED_IN, response=_ONE, by_alias=True)
def show_audit_event(request: HttpRequest, event_id: Id) -> Any:  # noqa: ANN401
    """Show a change that was made; for administrators."""
    see_that_admin(request)
    return _one(AuditEntry.objects.all(), event_id)


@on_both(routes, "GET", "/audit_events", auth=SIGNED_IN, response=_LIST, by_alias=True)
def list_place_audit_events(
    request: HttpRequest, response: HttpResponse, place: Place, query: Query[AuditQuery]
) -> Any:  # noqa: ANN401
    """List the changes of a project, for its maintainers, or of a group itself, for its owners."""
    return _listed(request, response, _of_place(request, place), query)


@on_both(routes, "GET", "/audit_events/{event_id}", auth=SIGNED_IN, response=_ONE, by_alias=True)
def show_place_audit_event(request: HttpRequest, place: Place, event_id: Id) -> Any:  # noqa: ANN401
    """Show a change of a project, for its maintainers, or of a group itself, for its owners."""
    return _one(_of_place(request, place), event_id)


def _of_place(request: HttpRequest, place: str) -> AuditRows:
    found = place_of(request, place)
    see_that_manager(found)
    kind = EntityKind.PROJECT if isinstance(found, FoundProject) else EntityKind.GROUP
    return AuditEntry.objects.about(kind, target_of(found).pk)


def _one(rows: AuditRows, event_id: int) -> dict[str, Any]:
    found = rows.filter(pk=event_id).first()
    if found is None:
        raise not_found("Audit Event")
    return _shown(found)


def _listed(request: HttpRequest, response: HttpResponse, rows: AuditRows, query: AuditQuery) -> list[dict[str, Any]]:
    found = rows.within(query.created_after, query.created_before)
    return [_shown(row) for row in Paging(request, response).ordered(found, query, query.order_by)]


def _shown(row: AuditEntry) -> dict[str, Any]:
    details: dict[str, Any] = {
        "author_name": row.actor_name,
        "author_class": "User" if row.actor_id is not None else "Gitlab::Audit::UnauthenticatedAuthor",
        "target_id": row.target_id,
        "target_type": row.target_kind,
        "target_details": row.target_name,
        "custom_message": row.action.replace("_", " "),
        "ip_address": row.address or None,
        "entity_path": row.entity_path,
        "credential": row.credential,
        "changes": row.details,
    }
    pairs = {name: value for name, value in row.details.items() if isinstance(value, list) and len(value) == _PAIR}
    if len(pairs) == 1:
        ((name, (before, after)),) = pairs.items()
        details |= {"change": name, "from": before, "to": after}
    return {
        "id": row.pk,
        "author_id": row.actor_id or -1,
        "entity_id": row.entity_id or 0,
        "entity_type": _NAMES.get(row.entity_kind, "Gitlab::Audit::InstanceScope"),
        "details": details,
        "created_at": row.at,
        "event_name": row.action,
    }
