"""Groups and projects that a personal access token reaches."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router
from pydantic import Field

from moorage.control.api.association_shapes import AssociationsShape, show_associations
from moorage.control.api.callers import OWN_TOKEN, own_token
from moorage.control.api.paging import NumberQuery, Paging, headers_of_longest
from moorage.control.api.shapes import answers
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.projects.visible_groups import groups_of_member, groups_visible_to

routes = Router(tags=["personal access tokens"])


class AssociationsQuery(NumberQuery):
    """Parameters of the list."""

    min_access_level: AccessLevel | None = Field(None, description="Least role of the token's user.")


@routes.get("/personal_access_tokens/self/associations", auth=OWN_TOKEN, response=answers(AssociationsShape, 405))
def list_own_associations(request: HttpRequest, response: HttpResponse, query: Query[AssociationsQuery]) -> Any:  # noqa: ANN401
    """List the groups and projects that the user of the request's token is told of.

    A page has so many of each; its headers are those of the longer list.
    """
    user, today, least = own_token(request).user, timezone.now().date(), query.min_access_level
    groups, projects = groups_visible_to(user, today), Project.objects.visible_to(user, today)
    if least:
        groups, projects = (
            groups_of_member(user, today, least=least),
            Project.objects.of_member(user, today, least=least),
        )
    ends = HttpResponse(), HttpResponse()
    found = show_associations(
        Paging(request, ends[0]).numbered(groups.order_by("-pk"), query),
        Paging(request, ends[1]).numbered(projects.select_related("namespace").order_by("-pk"), query),
        request,
        user=user,
    )
    for name, value in headers_of_longest(ends).items():
        response[name] = value
    return found
