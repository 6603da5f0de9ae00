"""Page of the registry's APIs.

What only a person can say (what a query parameter means) stands here, and is compared with the code: a parameter that
the code has and this file lacks, or the reverse, ends the script.
"""

import asyncio
import inspect
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from reference_text import Row, first_line, page, sentence, table

from moorage import config
from moorage.http.debug import DebugApp
from moorage.http.endpoints import Endpoint
from moorage.http.gitlab_v1.gitlab_routes import REPOSITORY
from moorage.http.moorage_v1.moorage_api import EVERY_OPERATION
from moorage.http.operations import Handler
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.wiring.registry import build
from moorage.wiring.stores import DatabaseStore

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "/v2/": {
        "_state": "what the registry adds to the URL of an upload for itself; follow the `Location` of the last answer",
        "artifactType": "list only referrers of this artifact type; `OCI-Filters-Applied` says that it was done",
        "digest": "of the whole blob: closes an upload, or takes a whole blob in one `POST`",
        "digest-algorithm": "`sha256` or `sha512`: which digest the upload will be closed with",
        "from": "the repository to mount from; without it, wherever the blob is that the credentials allow to look",
        "last": "list what comes after this; `Link` in an answer has it for the next page",
        "mount": "the digest of a blob that another repository has, to be put into this one",
        "n": "how many to list at most",
        "tag": "a tag for a manifest that is pushed by digest; may be there several times",
    },
    "/gitlab/v1/": {
        "before": "list what comes before this; not together with `last`; `Link` has it for the previous page",
        "dry_run": "`true`: change nothing, and reserve the new name for a minute",
        "last": "list what comes after this; `Link` in an answer has it for the next page",
        "n": "how many to list at most, from 1 to 1000; 100 without it",
        "name": "list only tags that have this in their name; not together with `name_exact`",
        "name_exact": "list only the tag of this name",
        "referrer_type": "list only referrers of these artifact types, separated by commas",
        "referrers": "`true`: with each tag, the manifests that refer to its manifest",
        "size": "`self`: with the repository's size in bytes; `self_with_descendants`: with that of those below it too",
        "sort": "`name` or `published_at`, with `-` in front from the end",
    },
}
"""What each query parameter means, for each API. ``/moorage/v1/`` says it in the code, for its OpenAPI document."""

_DOCUMENTED = {(row.endpoint, method): row.documented for row in EVERY_OPERATION for method in row.methods}


def api_page() -> str:
    """Every endpoint, with the methods and query parameters that its handlers take."""
    lines = [
        "# API",
        "",
        "The endpoints of the OCI distribution specification 1.1 (its numbers in parentheses), and a few more.",
        "`<name>` is a repository, `<reference>` a tag or a digest, `<id>` an upload session.",
        "Paths are below `http.prefix` if that is set.",
        "",
        "`/gitlab/v1/` is the GitLab registry's own API, and `/moorage/v1/` is ours:",
        "[History and undo](../how-to/history-and-undo.md) shows how to use it, and it describes itself in",
        "`/moorage/v1/openapi.json` ([a copy](openapi.json)).",
        "Both need a metadata database, and answer 404 without one.",
    ]
    for endpoint, methods in _routes().items():
        lines += ["", f"## {endpoint.title}", ""]
        lines += table(
            ("method", "what it does", "query"),
            (
                (" ".join(f"`{name}`" for name in names), first_line(handler), _shown_parameters(endpoint, handler))
                for handler, names in _by_handler(methods)
            ),
        )
        if endpoint is REPOSITORY:
            lines += ["", 'The body of `PATCH` is JSON, `{"name": "…"}` or `{"namespace": "…"}`.']
        for method in methods:
            lines += _asked_lines(endpoint, method)
    for path, parameters in PARAMETERS.items():
        lines += ["", f"## Query parameters below {path}", ""]
        lines += table(("parameter", "what it means"), ((f"`{name}`", text) for name, text in parameters.items()))
    lines += [
        "",
        "## The debug address",
        "",
        "On `http.debug.addr`, without credentials, and only there:",
        first_line(DebugApp),
        "",
        "## Every answer",
        "",
        "`X-Request-Id` is the request's own if it is harmless, else a new one; it is the `correlation_id` of the log.",
        "What `http.headers` names is there too, and `Docker-Distribution-API-Version: registry/2.0` below `/v2/`.",
        "`Content-Security-Policy: sandbox` and `X-Content-Type-Options: nosniff` keep a browser from running what was",
        "pushed; a policy of your own in `http.headers` is added to `sandbox`.",
        "",
        "`OPTIONS` answers 200 on every path, whatever the credentials are and whether or not there is anything;",
        "`Allow` lists the methods of that path, `DELETE` also while deleting is switched off.",
        "A path with a slash too many is answered with 301 to the right one, for `GET` and `HEAD`.",
        "Methods that write answer 405 in read-only mode, and so does `DELETE` of blobs, manifests and tags unless",
        "`storage.delete.enabled` is set; the same goes for `POST` to `/moorage/v1/tags/delete`.",
        "",
        "With a metadata database, `Moorage-Reason` in a request that changes something says why, for the journal.",
        "[Errors](errors.md) lists what an answer may be besides.",
    ]
    return page(lines)


@cache
def _routes() -> Mapping[Endpoint, Mapping[str, Handler]]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_routes_of(Path(folder)))


async def _routes_of(folder: Path) -> Mapping[Endpoint, Mapping[str, Handler]]:
    settings = config.defaults(str(folder), "127.0.0.1:0")
    file = folder / "moorage.db"
    await (await SqliteDatabase.open(file)).close()  # A registry finds its database, which the start has made.
    registry = await build(settings, DatabaseStore(file), secret=b"")
    found: dict[Endpoint, dict[str, Handler]] = {}
    for api in registry.app.apis:
        for row in api.operations:
            found.setdefault(row.endpoint, {}).update(dict.fromkeys(row.methods, api.handlers[row]))
    await registry.close()
    return found


def _by_handler(methods: Mapping[str, Callable[..., object]]) -> Iterator[tuple[Callable[..., object], list[str]]]:
    for handler in dict.fromkeys(methods.values()):
        yield handler, [name for name, other in methods.items() if other == handler]


def _shown_parameters(endpoint: Endpoint, handler: Callable[..., object]) -> str:
    queries = [found.query for (place, _), found in _DOCUMENTED.items() if place is endpoint and found is not None]
    names = {name for query in queries if query is not None for name in query.model_fields} or _parameters_of(handler)
    return ", ".join(f"`{name}`" for name in sorted(names))


def _asked_lines(endpoint: Endpoint, method: str) -> list[str]:
    """What a method of our own API takes: its query and its body."""
    operation = _DOCUMENTED.get((endpoint, method))
    if operation is None:
        return []
    lines = ["", operation.description, f"Needs {operation.access}, once authentication is configured."]
    takes = (("query", operation.query), ("body", operation.body))
    rows = [row for place, model in takes if model is not None for row in _model_rows(place, model)]
    return [*lines, "", *(table(("where", "name", "what it means"), rows) if rows else [])]


def _model_rows(place: str, model: type[BaseModel]) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        needed = " Needed." if field.is_required() else ""
        yield place, f"`{name}`", f"{sentence(field.description or '')}{needed}"


def _parameters_of(handler: Callable[..., object]) -> set[str]:
    """The query parameters that a handler asks for, itself or in the functions of its module that it calls."""
    source = inspect.getsource(handler)
    called = set(re.findall(r"\b(\w+)\(", source))
    functions = inspect.getmembers(inspect.getmodule(handler), inspect.isfunction)
    source += "".join(inspect.getsource(function) for name, function in functions if name in called)
    return set(re.findall(r"query\.(?:first|all)\(\"([\w-]+)\"\)", source))


def check_parameters() -> None:
    """End the script if the parameters here are not those of the code."""
    found: dict[str, set[str]] = {path: set() for path in PARAMETERS}
    for endpoint, methods in _routes().items():
        path = next((path for path in PARAMETERS if endpoint.path.startswith(path)), None)
        for handler in methods.values() if path is not None else ():
            found[path] |= _parameters_of(handler)
    for path, names in found.items():
        if names != set(PARAMETERS[path]):
            sys.exit(f"PARAMETERS[{path!r}] differs from the code: {sorted(names ^ set(PARAMETERS[path]))}")
