"""Write ``docs/reference`` from the code; with ``--check``, write nothing and fail if a page is stale."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from api_reference import api_page, check_parameters
from cli_reference import cli_page, help_text
from configuration_reference import configuration_page, control_page
from control_api_reference import control_api_document, control_api_lines
from reference_text import page, plain, table
from roles_reference import roles_lines
from schema_reference import schema_lines

from moorage import __version__, errors
from moorage.http.moorage_v1.moorage_api import EVERY_OPERATION
from moorage.http.moorage_v1.openapi import document
from moorage.web import errors as wire_errors

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "moorage"
HELP = SOURCE / "cli" / "help.txt"


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
    lines += table(
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
    return page(lines)


def schema_page() -> str:
    """Every table of the metadata database."""
    return page(schema_lines())


def openapi_page() -> str:
    """The document of ``/moorage/v1/openapi.json``, for who wants to read it or to make a client from it."""
    return json.dumps(json.loads(document(EVERY_OPERATION, version=__version__, prefix="/")), indent=2) + "\n"


def control_api_page() -> str:
    """Return the page of the control plane's API."""
    return page(control_api_lines(control_api_document()))


def roles_page() -> str:
    """Return the page of what each role may do."""
    return page(roles_lines())


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


def _reasons() -> list[str]:
    texts = (path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    return sorted({reason for text in texts for reason in re.findall(r'reason="([A-Z_]+)"', text)})


def _summary(kind: type[errors.MoorageError]) -> str:
    return plain(inspect.getdoc(kind) or "")


if __name__ == "__main__":
    check_parameters()
    sys.exit(main(sys.argv[1:]))
