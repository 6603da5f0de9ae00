"""Shapes of answers that many resources have, and how they are written in the document."""

from datetime import date, datetime
from typing import Annotated, Any

from ninja import Schema
from pydantic import Field, PlainSerializer

Moment = Annotated[datetime, PlainSerializer(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z")]
"""A time as GitLab writes it: UTC, with milliseconds."""
Day = date


def left_out() -> Any:  # noqa: ANN401 - a field of any type
    """Return a field that is not in the answer where nothing is said for it; any other is there, if need be as null."""
    return Field(default=None, exclude_if=lambda value: value is None)


class Problem(Schema):
    """The reason for a refusal: ``message``, or ``error`` where a parameter is wrong."""

    message: str | dict[str, list[str]] | None = None
    error: str | list[str] | None = None
    error_description: str | None = None
    scope: str | None = None


REFUSALS = (400, 401, 403, 404, 429)
"""Statuses that every operation can refuse with; the document has them for each."""


def answers(success: Any, *more: int, status: int = 200) -> dict[int, Any]:  # noqa: ANN401 - a type, or None
    """Return the answers of an operation by their status: *success*, and the refusals that are not every operation's.

    The framework makes a class of each of them, which is most of what a start costs.
    """
    return {status: success} | dict.fromkeys(more, Problem)
