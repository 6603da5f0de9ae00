"""Answers of Google's JSON API: what is worth asking again, and the one place where the others become errors."""

from http import HTTPStatus
from typing import Any

from moorage.errors import StorageUnavailable
from moorage.json_nesting import parse_json
from moorage.storage.remote.attempts import PASSING_STATUSES
from moorage.storage.remote.exchange import StoreAnswer, StoreCall

ROLE = "roles/storage.objectUser"
"""Has every right that the driver needs, on the objects of a bucket."""
_SHOWN = 300
_BUSY_REASONS = (b"rateLimitExceeded", b"userRateLimitExceeded")


class BucketMissing(StorageUnavailable):
    """The bucket is not there."""

    def __init__(self, bucket: str) -> None:
        super().__init__(f"there is no bucket {bucket}")


class AccessDenied(StorageUnavailable):
    """The account lacks a right, or is none."""


def is_busy(call: StoreCall, answer: StoreAnswer) -> bool:
    """Return whether the same request may do better a little later."""
    del call
    if answer.status in PASSING_STATUSES:
        return True
    return answer.status == HTTPStatus.FORBIDDEN and _is_too_much(answer)


def is_missing(answer: StoreAnswer, bucket: str) -> bool:
    """Return whether there is no such object.

    Raises:
        BucketMissing: there is not even the bucket.
    """
    if answer.status != HTTPStatus.NOT_FOUND or answer.body.lstrip().startswith(
        b"<"
    ):  # A proxy's page; Google has text.
        return False
    if b"bucket does not exist" in answer.body:
        raise BucketMissing(bucket)
    return True


def expect(answer: StoreAnswer, kind: str, key: str, *statuses: int) -> StoreAnswer:
    """Return the answer if it has one of these statuses.

    Raises:
        StorageUnavailable: it has another one; what Google said of it.
    """
    if answer.status not in statuses:
        raise unexpected(answer, kind, key)
    return answer


def unexpected(answer: StoreAnswer, kind: str, key: str) -> StorageUnavailable:
    """Return the error for an answer that is none of those that the caller knows."""
    said = _said(answer)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return AccessDenied(f"{kind}: Google does not take the token of the account: {said}")
    if answer.status == HTTPStatus.FORBIDDEN and not _is_too_much(answer):
        return AccessDenied(f"{kind} of {key}: {said}; grant the account {ROLE} on the bucket")
    return StorageUnavailable(f"{kind} of {key}: status {answer.status}: {said}")


def json_of(answer: StoreAnswer, kind: str, key: str, *statuses: int) -> dict[str, Any]:
    """Return the object of an answer with one of these statuses.

    Raises:
        StorageUnavailable: it has another status, or no object.
    """
    expect(answer, kind, key, *statuses)
    try:
        found = parse_json(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        msg = f"{kind} of {key}: the service answered what is no JSON object"
        raise StorageUnavailable(msg)
    return found


def _is_too_much(answer: StoreAnswer) -> bool:
    return any(reason in answer.body for reason in _BUSY_REASONS)


def _said(answer: StoreAnswer) -> str:
    try:
        text = str(parse_json(answer.body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.body.decode(errors="replace")
    return " ".join(text.split())[:_SHOWN]
