"""Errors on the wire: one table, from class to status and code.

On ``/v2/`` a 4xx carries only codes of the specification's list ("MUST be one of the following"); where GitLab has a
more precise name for it, that is ``detail.reason``.

Source: distribution-spec § Error Codes; ADR 0007.
"""

import json
import math
from collections.abc import Mapping

from moorage import errors, gitlab_errors, moorage_errors
from moorage.web.responses import Response

TABLE: Mapping[type[errors.MoorageError], tuple[int, str]] = {
    errors.NameInvalid: (400, "NAME_INVALID"),
    errors.TagInvalid: (400, "MANIFEST_INVALID"),
    errors.DigestInvalid: (400, "DIGEST_INVALID"),
    errors.SizeInvalid: (400, "SIZE_INVALID"),
    errors.RangeInvalid: (416, "BLOB_UPLOAD_INVALID"),
    errors.NameUnknown: (404, "NAME_UNKNOWN"),
    errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
    errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
    errors.UploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN"),
    errors.UploadInvalid: (400, "BLOB_UPLOAD_INVALID"),
    errors.UploadBusy: (409, "BLOB_UPLOAD_INVALID"),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID"),
    errors.ManifestTooLarge: (413, "MANIFEST_INVALID"),
    errors.BlobReferenced: (409, "DENIED"),
    errors.ManifestReferenced: (409, "DENIED"),
    errors.ConditionFailed: (412, "DENIED"),
    errors.TagChanged: (412, "DENIED"),
    errors.ReferencesUnknown: (400, "MANIFEST_BLOB_UNKNOWN"),
    errors.ParameterInvalid: (400, "UNSUPPORTED"),
    moorage_errors.TooManyTags: (414, "UNSUPPORTED"),
    moorage_errors.RequestUnknown: (404, "REQUEST_UNKNOWN"),
    moorage_errors.NotificationUnknown: (404, "NOTIFICATION_UNKNOWN"),
    moorage_errors.UndoConflict: (409, "CONFLICT"),
    moorage_errors.AdoptionUnderWay: (409, "ADOPTION_UNDER_WAY"),
    moorage_errors.TwoDatabases: (409, "TWO_DATABASES"),
    moorage_errors.AlreadyUndone: (409, "ALREADY_UNDONE"),
    moorage_errors.RequestShared: (409, "REQUEST_SHARED"),
    moorage_errors.ContentGone: (410, "GONE"),
    errors.BodyTooLarge: (413, "UNSUPPORTED"),
    errors.ContentTypeInvalid: (415, "UNSUPPORTED"),
    errors.CodingUnknown: (501, "UNSUPPORTED"),
    errors.ContentCodingUnknown: (415, "UNSUPPORTED"),
    errors.BodyLate: (408, "SIZE_INVALID"),
    errors.HeadTooLarge: (431, "UNSUPPORTED"),
    gitlab_errors.PathTagInvalid: (400, "TAG_INVALID"),
    gitlab_errors.TagUnknown: (404, "TAG_UNKNOWN"),
    gitlab_errors.QueryValueInvalid: (400, "INVALID_QUERY_PARAMETER_VALUE"),
    gitlab_errors.QueryTypeInvalid: (400, "INVALID_QUERY_PARAMETER_TYPE"),
    gitlab_errors.BodyNotJSON: (400, "INVALID_JSON_BODY"),
    gitlab_errors.BodyValueInvalid: (400, "INVALID_BODY_PARAMETER"),
    gitlab_errors.BodyTypeInvalid: (400, "INVALID_BODY_PARAMETER_TYPE"),
    gitlab_errors.RenameConflict: (409, "RENAME_CONFLICT"),
    gitlab_errors.TooManyRepositories: (422, "EXCEEDS_LIMITS"),
    errors.RangeNotSatisfiable: (416, "SIZE_INVALID"),
    errors.Unauthorized: (401, "UNAUTHORIZED"),
    errors.Denied: (403, "DENIED"),
    errors.Protected: (403, "DENIED"),
    errors.PatternRefused: (400, "UNSUPPORTED"),
    gitlab_errors.ProjectUnknown: (400, "UNKNOWN_PROJECT_PATH_CLAIM"),
    gitlab_errors.ProjectMismatch: (400, "MISMATCH_PROJECT_PATH_CLAIM"),
    errors.TooManyRequests: (429, "TOOMANYREQUESTS"),
    errors.OutOfService: (503, "UNAVAILABLE"),
    errors.RouteUnknown: (404, "UNSUPPORTED"),
    errors.MethodNotAllowed: (405, "UNSUPPORTED"),
    errors.StorageFull: (507, "INSUFFICIENT_STORAGE"),
    errors.StorageUnavailable: (503, "UNAVAILABLE"),
    errors.BeingRemoved: (503, "UNAVAILABLE"),
    errors.StorageBusy: (503, "UNAVAILABLE"),
    errors.PathUnknown: (500, "UNKNOWN"),
    errors.DatabaseUnavailable: (503, "UNAVAILABLE"),
    errors.DatabaseContended: (503, "UNAVAILABLE"),
    errors.DatabaseConflict: (503, "UNAVAILABLE"),
}

_OURS = (500, "UNKNOWN")

_RETRY_AFTER_S = {507: 60, 503: 5}

_BACKEND_MESSAGES = {
    507: "the registry has no room left for this; nothing of it was kept, try again when there is space",
    503: "the registry cannot reach its storage or database now; try again",
    500: "the registry made a mistake; its log has the request id",
}


def row_of(kind: type[errors.MoorageError]) -> tuple[int, str]:
    """Return the status and code of an error: of the nearest of its ancestors that has a row, else of our own mistake.

    A module may refine an error for its own use; what nobody caught must not become an error while it is answered.
    """
    return next((TABLE[ancestor] for ancestor in kind.__mro__ if ancestor in TABLE), _OURS)


def render(exc: errors.MoorageError) -> Response:
    """The answer to a request that ended in *exc*."""
    status, code = row_of(type(exc))
    headers: dict[str, str] = {}
    match exc:
        case errors.Unauthorized():
            headers["WWW-Authenticate"] = exc.challenge.header
            if exc.challenge.warning:
                headers["Warning"] = f'299 - "{exc.challenge.warning}"'
        case errors.TooManyRequests():
            headers["Retry-After"] = str(max(1, math.ceil(exc.retry_after.total_seconds())))
        case errors.MethodNotAllowed():
            headers["Allow"] = ", ".join(exc.allowed)
        case errors.RangeNotSatisfiable():
            headers["Content-Range"] = f"bytes */{exc.size_bytes}"
    if status in _RETRY_AFTER_S:
        headers["Retry-After"] = str(_RETRY_AFTER_S[status])
    return respond(status, *_entries(exc, status, code), headers=headers)


def respond(status: int, *entries: Mapping[str, object], headers: dict[str, str] | None = None) -> Response:
    """An answer with the specification's error body."""
    body = json.dumps({"errors": entries}, separators=(",", ":")).encode()
    return Response(status, {"Content-Type": "application/json", **(headers or {})}, body)


def entry(code: str, message: str, detail: object = None) -> Mapping[str, object]:
    """One element of the error body."""
    value: dict[str, object] = {"code": code, "message": message}
    if detail:
        value["detail"] = detail
    return value


def _entries(exc: errors.MoorageError, status: int, code: str) -> list[Mapping[str, object]]:
    if isinstance(exc, errors.ReferencesUnknown):
        entries = [entry(code, exc.message, digest) for digest in exc.digests]
        left = exc.count - len(entries)
        return [*entries, entry(code, f"{exc.message}: {left} more of it")] if left else entries
    if isinstance(exc, errors.Refused):
        return [entry(code, exc.message, dict(exc.detail))]
    return [entry(code, _BACKEND_MESSAGES[status])]
