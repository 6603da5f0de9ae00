"""Operations of ``/moorage/v1/``, said once: the OpenAPI document is made from them, and the handlers read by them.

Source: OpenAPI Specification 3.1.0.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from moorage import errors
from moorage.api import collection_answers as reviews
from moorage.api import history_answers as past
from moorage.http.errors import TABLE
from moorage.http.moorage_v1 import collection_handlers as collection
from moorage.http.moorage_v1 import requests as asked
from moorage.http.moorage_v1.moorage_routes import PATHS
from moorage.http.routes import Endpoint

JSON = dict[str, Any]
"""A part of the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    endpoint: Endpoint
    method: Literal["GET", "POST"]
    id: str
    summary: str
    description: str
    access: str
    """The access that the credentials have to allow, once authentication is configured."""
    query: type[asked.Asked] = asked.NoQuery
    body: type[asked.Asked] | None = None
    answer: type[object] | None = None
    """None: this document."""
    refusals: Sequence[type[errors.MoorageError]] = field(default=())
    """Besides :data:`_ALWAYS`."""


_BODY = (errors.SizeInvalid, errors.BodyTooLarge, errors.ContentTypeInvalid, errors.MethodNotAllowed)
_PROTECTED = (errors.Protected, errors.PatternRefused)
_UNDO = (errors.UndoConflict, errors.ContentGone, *_PROTECTED, *_BODY)
_DIGEST = (errors.DigestInvalid, errors.TagInvalid)
_ALL = "everything on the catalogue (`registry:catalog:*`)"

OPERATIONS: Sequence[Operation] = (
    Operation(
        endpoint=Endpoint.MOORAGE_OPENAPI,
        method="GET",
        id="openapi",
        summary="This document",
        description="The description of this API, in OpenAPI 3.1.",
        access="any credentials that are accepted",
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_HISTORY,
        method="GET",
        id="history",
        summary="What was done in a repository, newest first",
        description="Every move and removal of a tag, and every change of a manifest or a blob, with who did it, when, "
        "by which request, and whether what it took away can come back.",
        access="pull on the repository",
        query=asked.HistoryQuery,
        answer=past.HistoryPage,
        refusals=(errors.NameUnknown, errors.TagInvalid),
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_REQUEST,
        method="GET",
        id="request",
        summary="What one request did, newest first",
        description="The same entries, of all repositories that the request changed something in.",
        access="pull on every repository that the request changed",
        query=asked.RequestQuery,
        answer=past.HistoryPage,
        refusals=(errors.RequestUnknown,),
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_TAG,
        method="GET",
        id="tag",
        summary="What a tag is, or was at a time",
        description="The digest to pull, and whether its manifest is still there or can come back.",
        access="pull on the repository",
        query=asked.TagQuery,
        answer=past.TagState,
        refusals=(errors.NameUnknown, errors.TagInvalid),
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_TAG_UNDO,
        method="POST",
        id="undoTag",
        summary="Take a tag back",
        description="Points the tag to what it was before its last change, or to what the body says: it is moved, made "
        "again or deleted, and a deleted manifest that it needs comes back too. Two such requests never both win.",
        access="push and delete on the repository",
        query=asked.TagUndoQuery,
        body=asked.TagUndo,
        answer=past.Undone,
        refusals=(errors.NameUnknown, errors.ManifestUnknown, *_DIGEST, *_UNDO),
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_REQUEST_UNDO,
        method="POST",
        id="undoRequest",
        summary="Take back everything that one request did",
        description="In one transaction. If somebody changed some of it since, nothing is done, and the answer lists "
        "what is in the way. An undo is a request as well, and can be taken back.",
        access="push and delete on every repository that the request changed; to take a rename back, also what the "
        "rename itself would need",
        query=asked.RequestUndoQuery,
        body=asked.RequestUndo,
        answer=past.Undone,
        refusals=(errors.RequestUnknown, errors.AlreadyUndone, *_UNDO),
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_TAGS_DELETE,
        method="POST",
        id="deleteTags",
        summary="Delete many tags",
        description="By name or by pattern. Their manifests stay until garbage collection finds that nothing uses "
        "them; before that, the request can be taken back. Tags that are protected or immutable stay.",
        access="delete on the repository",
        query=asked.TagsDeleteQuery,
        body=asked.TagsDelete,
        answer=past.TagsDeleted,
        refusals=(errors.NameUnknown, errors.TagInvalid, errors.PatternRefused, *_BODY),
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_GC_STATUS,
        method="GET",
        id="collectionStatus",
        summary="How garbage collection stands",
        description="Both review queues: how much waits, how fast it goes, what failed, and how much will be given "
        "back by when. It reads the queues, so it is not for asking every second: metrics are.",
        access=_ALL,
        answer=reviews.CollectionStatus,
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_GC_RUN,
        method="POST",
        id="runCollection",
        summary="Collect what is due now",
        description="Reviews what is due for about two seconds, and says what it did and what is left: ask again until "
        "nothing is left. The node's own collector goes on beside it.",
        access=_ALL,
        body=collection.CollectionRun,
        answer=reviews.CollectionRan,
        refusals=_BODY,
    ),
    Operation(
        endpoint=Endpoint.MOORAGE_GC_EXPLAIN,
        method="GET",
        id="explainCollection",
        summary="Why something stays, or when it goes",
        description="Which tags and manifests of the repository need a manifest or a blob, whether another repository "
        "does, or since when nothing does and when it goes.",
        access="pull on the repository",
        query=collection.ExplainQuery,
        answer=reviews.ExplanationsAnswer,
        refusals=(errors.NameUnknown, errors.ManifestUnknown, errors.DigestInvalid),
    ),
)

_ALWAYS = (
    errors.ParameterInvalid,
    errors.NameInvalid,
    errors.Unauthorized,
    errors.Denied,
    errors.TooManyRequests,
    errors.DatabaseUnavailable,
    errors.StorageFull,
)

_ERRORS: JSON = {
    "type": "object",
    "description": "What was wrong.",
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "code": {"type": "string", "description": "Which kind of mistake it was."},
                    "message": {"type": "string", "description": "The mistake in words."},
                    "detail": {"description": "The values that it is about."},
                },
                "required": ["code", "message"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["errors"],
    "additionalProperties": False,
}

_REASON: JSON = {
    "name": "Moorage-Reason",
    "in": "header",
    "description": "Why it is done, for the journal.",
    "schema": {"type": "string"},
}


def document(*, version: str, prefix: str) -> bytes:
    """The OpenAPI document; *prefix* is ``http.prefix``."""
    value = {
        "openapi": "3.1.0",
        "info": {
            "title": "Moorage",
            "version": version,
            "description": "History of a container registry, how to take back what was done, and garbage collection.",
        },
        "servers": [{"url": prefix.rstrip("/") or "/"}],
        "paths": _paths(),
        "components": {"schemas": {**_schemas(), "Errors": _ERRORS}},
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _paths() -> JSON:
    names = {endpoint: f"/{path}" for path, endpoint in PATHS.items()}
    paths: dict[str, JSON] = {}
    for operation in OPERATIONS:
        paths.setdefault(names[operation.endpoint], {})[operation.method.lower()] = _operation(operation)
    return paths


def _operation(operation: Operation) -> JSON:
    found: JSON = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": f"{operation.description} Needs: {operation.access}.",
        "parameters": [*_parameters(operation.query), *([_REASON] if operation.body else [])],
        "responses": {"200": _answer(operation), **_refusals((*_ALWAYS, *operation.refusals))},
    }
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _content(_reference(operation.body))}
    return found


def _answer(operation: Operation) -> JSON:
    schema = {"type": "object"} if operation.answer is None else _reference(operation.answer)
    headers: JSON = {
        "X-Request-Id": {
            "description": "The id of this request; what it changed can be taken back by it.",
            "schema": {"type": "string"},
        }
    }
    if operation.answer is past.HistoryPage:
        headers["Link"] = {"description": 'The next page, as `rel="next"`.', "schema": {"type": "string"}}
    return {"description": operation.summary, "headers": headers, "content": _content(schema)}


def _refusals(kinds: Iterable[type[errors.MoorageError]]) -> JSON:
    meanings: dict[int, list[str]] = {}
    for kind in kinds:
        status, code = TABLE[kind]
        first = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        meanings.setdefault(status, []).append(f"`{code}`: {first}")
    return {
        str(status): {"description": " ".join(sorted(set(texts))), "content": _content({"$ref": _path("Errors")})}
        for status, texts in sorted(meanings.items())
    }


def _parameters(model: type[asked.Asked]) -> list[JSON]:
    schema = model.model_json_schema()
    needed = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "description": found.pop("description"),
            "schema": _tidy(found),
        }
        for name, found in schema.get("properties", {}).items()
    ]


def _schemas() -> Mapping[str, object]:
    bodies = {operation.body for operation in OPERATIONS if operation.body is not None}
    outputs = {operation.answer for operation in OPERATIONS if operation.answer is not None}
    wanted: list[tuple[str, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        *((model.__name__, "validation", TypeAdapter(model)) for model in sorted(bodies, key=_name)),
        *((model.__name__, "serialization", TypeAdapter(model)) for model in sorted(outputs, key=_name)),
    ]
    _, found = TypeAdapter.json_schemas(wanted, ref_template=_path("{model}"))
    schemas: Mapping[str, JSON] = _tidy(found["$defs"])
    # pydantic also describes the classes that a string is read into.
    text, roots = json.dumps(schemas), {name for name, *_ in wanted}
    return {name: schema for name, schema in schemas.items() if name in roots or f'"{_path(name)}"' in text}


def _tidy(value: Any) -> Any:  # noqa: ANN401 - a part of a JSON document
    """Without what pydantic adds: titles, and null as the default of what cannot be null."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _tidy(item)
        for name, item in value.items()
        if not (name == "title" and isinstance(item, str)) and not (name == "default" and item is None)
    }


def _name(model: type[object]) -> str:
    return model.__name__


def _reference(model: type[object]) -> JSON:
    return {"$ref": _path(model.__name__)}


def _path(name: str) -> str:
    return f"#/components/schemas/{name}"


def _content(schema: JSON) -> JSON:
    return {"application/json": {"schema": schema}}
