"""The API as one application: its routers, its errors and its document."""

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from ninja import NinjaAPI
from ninja.operation import Operation

from moorage import __version__
from moorage.control.api.failures import answer_failures
from moorage.control.api.parameters import GitLabParser
from moorage.control.api.routes import (
    associations,
    audit_events,
    groups,
    images,
    instance,
    members,
    personal_tokens,
    place_tokens,
    policies,
    projects,
    repository_rules,
    tag_rules,
    usage,
    users,
)
from moorage.control.api.shapes import REFUSALS, Problem

PREFIX = "/api/v4/"


class MoorageAPI(NinjaAPI):
    """The API, whose operations are named as their functions."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return the name of an operation in the document."""
        return operation.operation_id or operation.view_func.__name__


def _made() -> MoorageAPI:
    made = MoorageAPI(
        title="Moorage's API",
        version=__version__,
        description="The control plane's API, in the shapes of GitLab's.",
        urls_namespace="api",
        openapi_url=None,
        docs_url=None,
        parser=GitLabParser(),
    )
    for module in (
        projects,
        groups,
        members,
        users,
        personal_tokens,
        associations,
        place_tokens,
        images,
        policies,
        repository_rules,
        tag_rules,
        usage,
        audit_events,
        instance,
    ):
        made.add_router("", module.routes)
    answer_failures(made)
    return made


API = _made()


def document() -> dict[str, Any]:
    """Return the API's OpenAPI document."""
    found: dict[str, Any] = json.loads(json.dumps(API.get_openapi_schema(path_prefix=PREFIX)))
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    for methods in found["paths"].values():
        for operation in methods.values():
            # Whatever has a body can have one that is too large.
            refusals = (*REFUSALS, *((HTTPStatus.REQUEST_ENTITY_TOO_LARGE,) if "requestBody" in operation else ()))
            more = {
                str(int(status)): {"description": HTTPStatus(status).phrase, "content": content} for status in refusals
            }
            operation["responses"] = dict(sorted((operation["responses"] | more).items()))
    return found


@API.get("/openapi.json", include_in_schema=False)
def show_document(request: HttpRequest) -> JsonResponse:
    """Show the OpenAPI document."""
    del request
    return JsonResponse(document())
