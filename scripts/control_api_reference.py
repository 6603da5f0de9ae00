"""The page of the control plane's API, from its OpenAPI document."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moorage.control.configuration import read_control
from moorage.control.current import start_django
from moorage.token_server.key_ring import KeyFolder

Json = Mapping[str, Any]
Row = Sequence[str]

_CONTROL = "secret: only-to-write-the-reference-of-the-api\nregistry: {key: keys}\n"
_COMMON = ("400", "401", "403", "404", "429")
_OF_LISTS = {"page", "per_page"}


def control_api_document() -> Json:
    """Return the document, from a control plane that is configured and not started."""
    with tempfile.TemporaryDirectory() as folder:
        KeyFolder(Path(folder) / "keys").prepare(0)
        file = Path(folder) / "control.yml"
        file.write_text(_CONTROL, encoding="utf-8")
        start_django(read_control(file, {}))
        from moorage.control.api.application import document  # noqa: PLC0415 - after Django has started

        return document()


def control_api_lines(document: Json) -> Iterator[str]:
    """Yield every operation, by what it is about, and every shape."""
    yield from (
        "# API of the control plane",
        "",
        "Routes, fields and statuses are GitLab's; what is Moorage's own has `moorage` in its path.",
        "The control plane describes them itself in `/api/v4/openapi.json` (OpenAPI 3.1).",
        "",
        "A token goes into the header `PRIVATE-TOKEN`, or into `Authorization: Bearer`; a job's into `JOB-TOKEN`.",
        "`{place}` is the id of a project or group, or its path with `%2F` for each slash.",
        "Parameters of a change may come as JSON, as a form, or in the query.",
        "A `HEAD` is answered as its `GET`, without the body.",
        "",
        "A list has `page` (from 1) and `per_page` (20, at most 100), and answers with `X-Total`, `X-Total-Pages`,",
        "`X-Page`, `X-Per-Page`, `X-Next-Page`, `X-Prev-Page` and `Link`; of more than 10,000 items without the",
        "total, the number of pages and the last page, as GitLab does. A page by number ends at the 50,000th item at",
        "most; `pagination=keyset` leads to the rest, page by page, by `Link`.",
        "",
        f"Any call may be refused with {', '.join(_COMMON)}; other refusals stand with their call.",
        "A refusal has a `message`, or an `error` where a parameter is wrong.",
    )
    calls = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for tag in dict.fromkeys(tag for _, _, operation in calls for tag in operation["tags"]):
        yield from ("", f"## {tag[0].upper()}{tag[1:]}")
        for method, path, operation in calls:
            if tag in operation["tags"]:
                yield from ("", f"### {method} {path.removeprefix('/api/v4')}", "")
                yield from _operation_lines(operation, document["components"]["schemas"])
    yield from _shape_lines(document)


def _operation_lines(operation: Json, schemas: Json) -> Iterator[str]:
    yield _text(operation)
    yield _answers(operation["responses"])
    rows = [*_query_rows(operation.get("parameters", [])), *_body_rows(operation, schemas)]
    if rows:
        yield from ("", *_table(("where", "name", "type", "what it means"), rows))


def _answers(responses: Json) -> str:
    (success,) = (status for status in responses if status < "300")
    content = responses[success].get("content", {})
    shapes = [_type(one["schema"]) for one in content.values() if "schema" in one]
    refusals = [status for status in responses if status > "300" and status not in _COMMON]
    more = f" Also refused with {', '.join(sorted(refusals))}." if refusals else ""
    return f"Answers {success}{f': {shapes[0]}' if shapes else ''}.{more}"


def _query_rows(parameters: Iterable[Json]) -> Iterator[Row]:
    for one in parameters:
        if one["in"] == "query" and one["name"] not in _OF_LISTS:
            yield "query", f"`{one['name']}`", _type(one["schema"]), _about(one["schema"], is_needed=one["required"])


def _body_rows(operation: Json, schemas: Json) -> Iterator[Row]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        shape = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        for name, schema in shape.get("properties", {}).items():
            yield "body", f"`{name}`", _type(schema), _about(schema, is_needed=name in shape.get("required", ()))


def _shape_lines(document: Json) -> Iterator[str]:
    yield from ("", "## Shapes")
    schemas = document["components"]["schemas"]
    for name in sorted(set(_named_in(document["paths"], schemas)) - _bodies(document)):
        yield from ("", f"### {name}", "", _text(schemas[name]), "")
        rows = ((f"`{field}`", _type(one), _about(one)) for field, one in schemas[name].get("properties", {}).items())
        yield from _table(("field", "type", "what it is"), rows)


def _bodies(document: Json) -> set[str]:
    """The shapes of whole bodies, whose fields stand with their calls."""
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    contents = [one for operation in operations for one in operation.get("requestBody", {}).get("content", {}).values()]
    return {content["schema"]["$ref"].rpartition("/")[2] for content in contents}


def _named_in(value: object, schemas: Json) -> Iterator[str]:
    """Every shape that *value* names, and those that they name."""
    if isinstance(value, list):
        for one in value:
            yield from _named_in(one, schemas)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == "$ref":
                name = one.rpartition("/")[2]
                yield name
                yield from _named_in(schemas[name], schemas)
            else:
                yield from _named_in(one, schemas)


def _text(described: Json) -> str:
    return " ".join(described.get("description", "").split()).replace("``", "`")


def _type(schema: Json) -> str:
    """What values there may be, in a word or two."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{word}`" if word else "empty" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("format") or schema.get("type", "anything"))


def _about(schema: Json, *, is_needed: bool = False) -> str:
    default = schema.get("default")
    said = [schema.get("description", ""), "Needed." if is_needed else ""]
    said.append(f"Default: `{str(default).lower()}`." if default not in (None, "", []) else "")
    return " ".join(filter(None, said))


def _table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(_escaped(cell) for cell in row)} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
