"""Write ``docs/reference`` from the code; with ``--check``, write nothing and fail if a page is not what it would be.

What only a person can say (what a query parameter means) stands here, and is compared with the code: a parameter that
the code has and this file lacks, or the reverse, ends the script.
"""

import asyncio
import inspect
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import cast

import typer
from control_api_reference import control_api_document, control_api_lines
from pydantic import BaseModel
from roles_reference import roles_lines
from schema_reference import schema_lines
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from moorage import __version__, config, errors
from moorage.cli.app import app as cli
from moorage.cli.lazy_group import LazyGroup
from moorage.cli.quick_answers import HELP_WIDTH
from moorage.config.schema import Node, describe_file, describe_options, tree, tree_of
from moorage.wiring.stores import DatabaseStore
from moorage.control.configuration import VARIABLE_PREFIX, ControlConfiguration
from moorage.http.debug import DebugApp
from moorage.http.endpoints import Endpoint
from moorage.http.gitlab_v1.gitlab_routes import REPOSITORY
from moorage.http.moorage_v1.moorage_operations import OPERATIONS
from moorage.http.moorage_v1.openapi import document
from moorage.http.operations import Handler
from moorage.web import errors as wire_errors
from moorage.wiring.registry import build

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "moorage"
HELP = SOURCE / "cli" / "help.txt"
WRITTEN_BY = "<!-- Written from the code by `make docs`; changes here are lost. -->"

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

_DOCUMENTED = {(row.endpoint, method): row.documented for row in OPERATIONS for method in row.methods}

Row = Sequence[str]
Command = TyperCommand | TyperGroup
_SCHEMA = tree()


def configuration_page() -> str:
    """Every key of ``config.yml``."""
    lines = [
        "# Configuration",
        "",
        "The keys of `config.yml`, which is a file as Distribution and the GitLab registry read it.",
        "[Configure](../how-to/configure.md) says how to use and to check it.",
        "",
        "A key **without function** is accepted, so that an existing file can be used as it is; if it asks for",
        "something, a warning at the start names it.",
        "`version` always has to be given, everything else may be left out, except what is marked as needed.",
        "In a variable's name `_0` stands for the first item of a list, and `<NAME>` for a name of your choice.",
        "`auth: none` and `storage: inmemory` have no keys of their own; without `storage` nothing starts.",
    ]
    sections: dict[str, list[config.KeyDescription]] = {}
    for key in config.describe():
        sections.setdefault(key.path.rpartition(".")[0] or "At the top", []).append(key)
    for section, keys in sections.items():
        is_there = any(key.is_implemented for key in keys)
        unused = f"**Without function.** {_sentence(keys[0].why_unused)}".strip()
        lines += ["", f"## {section}", "", *([] if is_there else [unused, ""])]
        head = ("key, and its variable", "type", "default", "what it is")
        lines += _table(head, (_key_row(key, *_limits(key.path), mark=is_there) for key in keys))
        if section == "middleware.<name>[]":
            lines += _options_of_middleware(head)
    return _page(lines)


def control_page() -> str:
    """Every key of ``control.yml``."""
    lines = [
        "# Configuration of the control plane",
        "",
        "The keys of `control.yml`: GitLab's for the registry, and Moorage's.",
        "`moorage control check FILE` says every mistake in one, and a key that is not here is a mistake.",
        "A variable wins over the file.",
        "Paths are relative to the file's folder.",
    ]
    schema = tree_of(ControlConfiguration)
    sections: dict[str, list[config.KeyDescription]] = {}
    for key in describe_file(ControlConfiguration, prefix=VARIABLE_PREFIX):
        sections.setdefault(key.path.rpartition(".")[0] or "At the top", []).append(key)
    for section, keys in sections.items():
        lines += ["", f"## {section}", ""]
        head = ("key, and its variable", "type", "default", "what it is")
        lines += _table(head, (_key_row(key, *_limits(key.path, schema), mark=True) for key in keys))
    return _page(lines)


def _options_of_middleware(head: Row) -> Iterator[str]:
    for name, (node, keys) in describe_options().items():
        yield from ("", f"### Options of `{name}`", "")
        assert node.children is not None and node.model is not None  # noqa: S101, PT018 - it is a section
        yield from (_sentence((node.model.__doc__ or "").partition(": ")[2]), "")
        limits = [_limits_of(child) for child in node.children.values()]
        yield from _table(head, (_key_row(key, *limit, mark=True) for key, limit in zip(keys, limits, strict=True)))


def cli_page() -> str:
    """Every command with its arguments and options."""
    lines = ["# Command line", "", "`python -m moorage` is the same as `moorage`."]
    for name, command in commands_of("moorage", cast("LazyGroup", typer.main.get_command(cli)).load_all()):
        lines += [
            "",
            f"## {name}",
            "",
            _sentence(command.help or ""),
            "",
            "```text",
            usage_of(name, command),
            "```",
            "",
        ]
        lines += _table(("argument or option", "what it is"), _parameters(command))
        if command.epilog:
            lines += ["", "Example:", "", "```sh", command.epilog.splitlines()[-1].strip(), "```"]
    lines += ["", "The status is 0 if all went well, 1 after a mistake that is printed as `error: …`, 2 for a command"]
    lines += ["line that makes no sense."]
    return _page(lines)


def help_text() -> str:
    """What ``moorage --help`` prints without asking typer."""
    group = typer.main.get_command(cli)
    return f"{group.get_help(group.make_context('moorage', ['version'], terminal_width=HELP_WIDTH))}\n"


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
        lines += _table(
            ("method", "what it does", "query"),
            (
                (" ".join(f"`{name}`" for name in names), _first_line(handler), _shown_parameters(endpoint, handler))
                for handler, names in _by_handler(methods)
            ),
        )
        if endpoint is REPOSITORY:
            lines += ["", 'The body of `PATCH` is JSON, `{"name": "…"}` or `{"namespace": "…"}`.']
        for method in methods:
            lines += _asked_lines(endpoint, method)
    for path, parameters in PARAMETERS.items():
        lines += ["", f"## Query parameters below {path}", ""]
        lines += _table(("parameter", "what it means"), ((f"`{name}`", text) for name, text in parameters.items()))
    lines += [
        "",
        "## The debug address",
        "",
        "On `http.debug.addr`, without credentials, and only there:",
        _first_line(DebugApp),
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
    return _page(lines)


def errors_page() -> str:
    """Every error with its status and code."""
    rows = sorted(wire_errors.TABLE.items(), key=lambda item: (item[1], item[0].__name__))
    lines = [
        "# Errors",
        "",
        "An error is answered with a status and a body as the specification has it:",
        "",
        "```json",
        '{"errors": [{"code": "BLOB_UNKNOWN", "message": "the blob is not in the repository",',
        '             "detail": {"digest": "sha256:…"}}]}',
        "```",
        "",
        "The code says what kind of mistake it was, the message says it in words, and the detail has the values.",
        "Below `/v2/` a 4xx has only codes of the specification.",
        "",
    ]
    lines += _table(
        ("status", "code", "what it means", "class"),
        ((str(status), f"`{code}`", _summary(kind), f"`{kind.__name__}`") for kind, (status, code) in rows),
    )
    reasons = ", ".join(f"`{reason}`" for reason in _reasons())
    lines += [
        "",
        "What is no HTTP is answered with 400 `UNSUPPORTED`.",
        "A mistake of ours is 500 `UNKNOWN`, and the log has more under the request's id.",
        "A client that hangs up in the middle is 499 in the access log.",
        "",
        "507 and 503 come with `Retry-After`, 429 with the time that the caller has to wait,",
        "401 `UNAUTHORIZED` with `WWW-Authenticate`, 405 with `Allow`, and 416 with where to go on from.",
        "",
        f"Where GitLab's registry has a code of its own for a case, `detail.reason` has it: {reasons}.",
    ]
    return _page(lines)


def schema_page() -> str:
    """Every table of the metadata database."""
    return _page(schema_lines())


def openapi_page() -> str:
    """The document of ``/moorage/v1/openapi.json``, for who wants to read it or to make a client from it."""
    return json.dumps(json.loads(document(OPERATIONS, version=__version__, prefix="/")), indent=2) + "\n"


def control_api_page() -> str:
    """Return the page of the control plane's API."""
    return _page(control_api_lines(control_api_document()))


def roles_page() -> str:
    """Return the page of what each role may do."""
    return _page(roles_lines())


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration_page,
    "cli.md": cli_page,
    "api.md": api_page,
    "openapi.json": openapi_page,
    "errors.md": errors_page,
    "schema.md": schema_page,
    "control.md": control_page,
    "control-api.md": control_api_page,
    "roles.md": roles_page,
}


def main(arguments: Sequence[str]) -> int:
    """Write or check; return the exit status."""
    stale = []
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path, make in ({REFERENCE / name: make for name, make in PAGES.items()} | {HELP: help_text}).items():
        text, name = make(), path.relative_to(ROOT)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
            print(f"written: {name}")
    if stale and "--check" in arguments:
        print(f"stale: {', '.join(map(str, stale))}; run: make docs", file=sys.stderr)
        return 1
    return 0


def commands_of(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    """Yield a command and all below it, each with its whole name."""
    yield name, command
    if isinstance(command, TyperGroup):
        for sub, found in command.commands.items():
            if isinstance(found, TyperGroup | TyperCommand):
                yield from commands_of(f"{name} {sub}", found)


def usage_of(name: str, command: Command) -> str:
    """Return the line of a command with what it takes."""
    arguments = [str(found.metavar) for found in command.params if isinstance(found, TyperArgument)]
    return " ".join([name, "[OPTIONS]", *arguments, *(["COMMAND …"] if isinstance(command, TyperGroup) else [])])


def _parameters(command: Command) -> Iterator[Row]:
    for found in command.params:
        if isinstance(found, TyperArgument):
            # An argument that may be left out stands in brackets; REPO[:TAG] has some of its own.
            name = re.sub(r"^\[(\w+)\]", r"\1", str(found.metavar))
            yield f"`{name}`", _sentence(found.help or "")
        elif isinstance(found, TyperOption):
            names = ", ".join(f"`{name}`" for name in sorted(found.opts, key=len, reverse=True))
            value = "" if found.is_flag else f" `{found.metavar or 'NUMBER'}`"
            yield f"{names}{value}", _sentence(found.help or "") + _bounds(found) + _variable(found)
    yield "`--help`, `-h`", "Print what this page says."


def _bounds(option: TyperOption) -> str:
    least, most = getattr(option.type, "min", None), getattr(option.type, "max", None)
    if least is None:
        return ""
    return f" From {least} to {most}." if most is not None else f" At least {least}."


def _variable(option: TyperOption) -> str:
    default = f", else `{option.default}`" if option.envvar and isinstance(option.default, str) else ""
    return f" If not given: `{option.envvar}` of the environment{default}." if option.envvar else ""


@cache
def _routes() -> Mapping[Endpoint, Mapping[str, Handler]]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_routes_of(Path(folder)))


async def _routes_of(folder: Path) -> Mapping[Endpoint, Mapping[str, Handler]]:
    settings = config.defaults(str(folder), "127.0.0.1:0")
    registry = await build(settings, DatabaseStore(folder / "moorage.db"), secret=b"")
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
    return [*lines, "", *(_table(("where", "name", "what it means"), rows) if rows else [])]


def _model_rows(place: str, model: type[BaseModel]) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        needed = " Needed." if field.is_required() else ""
        yield place, f"`{name}`", f"{_sentence(field.description or '')}{needed}"


def _parameters_of(handler: Callable[..., object]) -> set[str]:
    """The query parameters that a handler asks for, itself or in the functions of its module that it calls."""
    source = inspect.getsource(handler)
    called = set(re.findall(r"\b(\w+)\(", source))
    functions = inspect.getmembers(inspect.getmodule(handler), inspect.isfunction)
    source += "".join(inspect.getsource(function) for name, function in functions if name in called)
    return set(re.findall(r"query\.(?:first|all)\(\"([\w-]+)\"\)", source))


def _check_parameters() -> None:
    found: dict[str, set[str]] = {path: set() for path in PARAMETERS}
    for endpoint, methods in _routes().items():
        path = next((path for path in PARAMETERS if endpoint.path.startswith(path)), None)
        for handler in methods.values() if path is not None else ():
            found[path] |= _parameters_of(handler)
    for path, names in found.items():
        if names != set(PARAMETERS[path]):
            sys.exit(f"PARAMETERS[{path!r}] differs from the code: {sorted(names ^ set(PARAMETERS[path]))}")


def _reasons() -> list[str]:
    texts = (path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    return sorted({reason for text in texts for reason in re.findall(r'reason="([A-Z_]+)"', text)})


def _key_row(key: config.KeyDescription, bounds: str, is_needed: bool, *, mark: bool) -> Row:  # noqa: FBT001 - of `_limits`
    missing = "**Without function.** " if mark and not key.is_implemented else ""
    default = "(needed)" if is_needed else f"`{key.default}`" if key.default else ""
    about = " ".join(filter(None, [_sentence(key.description), bounds]))
    return f"`{key.path}`<br>`{key.variable}`", key.type, default, missing + about


def _limits(path: str, schema: Node = _SCHEMA) -> tuple[str, bool]:
    """What a key's value must keep to, in words, and whether there has to be one."""
    node = schema
    for part in path.replace("[]", ".[]").split("."):
        below = {"[]": node.items, "<name>": node.values}.get(part) or (node.children or {}).get(part)
        assert below is not None, path  # noqa: S101 - describe() and tree() tell of the same keys
        node = below
    return _limits_of(node)


def _limits_of(node: Node) -> tuple[str, bool]:
    if node.field is None:
        return "", False
    words = [f"{word} {_number(limit)}" for word, limit in _constraints(node.field.metadata)]
    return f"{', '.join(words).capitalize()}." if words else "", node.field.is_required()


def _constraints(metadata: Iterable[object]) -> Iterator[tuple[str, object]]:
    """The bounds among what pydantic knows of a field."""
    for name, word in (("gt", "more than"), ("ge", "at least"), ("le", "at most"), ("multiple_of", "a multiple of")):
        for item in metadata:
            limit = getattr(item, name, None)
            if limit is not None:
                yield word, limit


def _number(limit: object) -> str:
    return config.format_duration(limit) if isinstance(limit, timedelta) else str(limit)


def _summary(kind: type[errors.MoorageError]) -> str:
    return _plain(inspect.getdoc(kind) or "")


def _first_line(thing: Callable[..., object]) -> str:
    return _plain((inspect.getdoc(thing) or "").split("\n\n")[0])


def _plain(text: str) -> str:
    """A docstring as Markdown, on one line."""
    text = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", text)
    return " ".join(text.replace("``", "`").split())


def _sentence(text: str) -> str:
    text = _plain(text)
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _table(head: Row, rows: Iterable[Row]) -> list[str]:
    cells = [[cell.replace("\\|", "|").replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)]


def _page(lines: Iterable[str]) -> str:
    text = "\n".join([WRITTEN_BY, "", *lines])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


if __name__ == "__main__":
    _check_parameters()
    sys.exit(main(sys.argv[1:]))
