"""The OpenAPI document of ``/moorage/v1/``, made from its table of operations.

Source: OpenAPI Specification 3.1.0.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from moorage import errors
from moorage.http.operations import Documentation, Operation
from moorage.web.errors import TABLE

JSON = dict[str, Any]
"""A part of the document."""


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


def document(operations: Sequence[Operation], *, version: str, prefix: str) -> bytes:
    """The OpenAPI document of *operations*; *prefix* is ``http.prefix``."""
    described = [row.documented for row in operations if row.documented is not None]
    value = {
        "openapi": "3.1.0",
        "info": {
            "title": "Moorage",
            "version": version,
            "description": "History of a container registry, how to take back what was done, and garbage collection.",
        },
        "servers": [{"url": prefix.rstrip("/") or "/"}],
        "paths": _paths(operations),
        "components": {"schemas": {**_schemas(described), "Errors": _ERRORS}},
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _paths(operations: Iterable[Operation]) -> JSON:
    paths: dict[str, JSON] = {}
    for row in operations:
        if row.documented is not None:
            methods = {method.lower(): _operation(row.documented) for method in row.methods}
            paths.setdefault(row.endpoint.path, {}).update(methods)
    return paths


def _operation(operation: Documentation) -> JSON:
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


def _answer(operation: Documentation) -> JSON:
    schema = {"type": "object"} if operation.answer is None else _reference(operation.answer)
    headers: JSON = {
        "X-Request-Id": {
            "description": "The id of this request; what it changed can be taken back by it.",
            "schema": {"type": "string"},
        }
    }
    if operation.has_pages:
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


def _parameters(model: type[BaseModel] | None) -> list[JSON]:
    schema = {} if model is None else model.model_json_schema()
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


def _schemas(described: Sequence[Documentation]) -> Mapping[str, object]:
    bodies = {operation.body for operation in described if operation.body is not None}
    outputs = {operation.answer for operation in described if operation.answer is not None}
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
