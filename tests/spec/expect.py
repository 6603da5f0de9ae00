"""What holds for every response, and short ways to say what a refusal looks like."""

import json
import re
from collections.abc import Collection

from support.registry_client import Response

SPECIFIED_CODES = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    }
)
"""code-1 to code-14: "The `code` field MUST be one of the following"."""

WARNINGS_LIMIT_BYTES = 4096


def errors_of(response: Response) -> list[dict[str, object]]:
    """The errors in a response, once their form has been checked."""
    assert response.headers["Content-Type"].partition(";")[0] == "application/json", response
    value = json.loads(response.body)
    assert isinstance(value, dict), value
    assert set(value) == {"errors"}, value
    errors = value["errors"]
    assert isinstance(errors, list), value
    assert errors, value
    for error in errors:
        assert {"code", "message"} <= set(error) <= {"code", "message", "detail"}, error
        assert re.fullmatch(r"[A-Z_]+", error["code"]), error
        assert isinstance(error["message"], str), error
        assert error["message"], error
    return errors


def refused(response: Response, status: int | Collection[int], code: str | Collection[str] = SPECIFIED_CODES) -> None:
    """Check a refusal: its status, and that each of its errors has *code* (one of them, if several are given)."""
    statuses = {status} if isinstance(status, int) else set(status)
    codes = {code} if isinstance(code, str) else set(code)
    assert response.status in statuses, (response.status, response.body[:500])
    for error in errors_of(response):
        assert error["code"] in codes, error


def reason_of(response: Response) -> object:
    """GitLab's more precise code, which stands in ``detail.reason``."""
    detail = errors_of(response)[0].get("detail")
    assert isinstance(detail, dict), response.body
    return detail.get("reason")


def holds_for_every_response(method: str, target: str, response: Response) -> None:
    """Facts that no response breaks, whatever was asked. The client of these tests applies them to each."""
    request = f"{method} {target[:200]}"
    assert response.status < 500, (request, response)
    assert response.headers["X-Request-Id"], request
    if target.startswith("/v2"):
        assert response.headers["Docker-Distribution-API-Version"] == "registry/2.0", request
    if method == "HEAD" or response.status in {204, 304}:
        assert response.body == b"", request
    elif response.status >= 400:
        for error in errors_of(response):
            assert not target.startswith("/v2") or error["code"] in SPECIFIED_CODES, (request, error)
    warnings = response.headers.all("Warning")
    assert all(re.fullmatch(r'299 - "[^"]*"', warning) for warning in warnings), (request, warnings)
    assert sum(len(warning) for warning in warnings) <= WARNINGS_LIMIT_BYTES, request
