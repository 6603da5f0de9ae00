"""Marks on the fields of answers, for pydantic to see once it writes an answer or describes one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Said:
    """The description of a field in the OpenAPI document."""

    text: str

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401 - as pydantic calls it
        return handler(schema) | {"description": self.text}


class ShownMoment:
    """A moment that is written by :func:`show_moment`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:  # noqa: ANN401 - as pydantic calls it
        from pydantic_core import core_schema  # noqa: PLC0415 - whoever only reads answers need not wait for it

        del source, handler
        written = core_schema.plain_serializer_function_ser_schema(show_moment, when_used="json")
        return core_schema.datetime_schema(serialization=written)


def show_moment(moment: datetime) -> str:
    """Return a moment in UTC, with all its microseconds."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


Shown = Annotated[datetime, ShownMoment()]
