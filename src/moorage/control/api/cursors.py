"""Cursors of lists by key: the place after a row in whatever order a list has, as text that callers hand back."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet

from moorage.control.api.api_refusals import APIRefused, bad_parameter
from moorage.control.api.parameters import ID_LIMIT
from moorage.control.namespaces.choosing import beyond
from moorage.json_nesting import parse_json

START = "start"
"""The place before all rows of the database, for a page that ended with others."""
_INVALID = "cursor is invalid"

Rows = TypeVar("Rows", bound="QuerySet[Any]")


@dataclass(frozen=True, slots=True)
class CursorOrder:
    """The order of a list: by one field, and by id where rows are equal in it."""

    field: str
    is_down: bool
    is_pk_down: bool

    @classmethod
    def of(cls, rows: "QuerySet[Any]") -> Self:
        """Return the order that *rows* have.

        Raises:
            APIRefused: it is by an expression, such as one that has rows without a value come last.
        """
        first, *others = rows.query.order_by or rows.model._meta.ordering  # noqa: SLF001 - Django's way
        if not isinstance(first, str):
            raise APIRefused(405, {"error": "Keyset pagination is not yet available for this type of request"})
        last = str(others[-1] if others else first)
        return cls(first.removeprefix("-"), first.startswith("-"), last.startswith("-"))

    def ordered(self, rows: Rows) -> Rows:
        """Return *rows* in this order, in which no two are equal."""
        pk = f"{'-' if self.is_pk_down else ''}pk"
        return rows.order_by(pk) if self._is_id else rows.order_by(f"{'-' if self.is_down else ''}{self.field}", pk)

    def cursor(self, row: Model) -> str:
        """Return the place after *row*."""
        value: object = row
        for part in self.field.split("__"):
            value = getattr(value, part)
        return urlsafe_b64encode(json.dumps([str(value), row.pk]).encode()).decode().rstrip("=")

    def after(self, rows: Rows, cursor: str) -> Rows:
        """Return those of *rows* that are after a place.

        Raises:
            APIRefused: it is the place of nothing.
        """
        if cursor == START:
            return rows
        try:
            value, pk = _read(cursor, _field_of(rows, self.field))
        except (ValueError, TypeError, OverflowError, ValidationError):
            raise bad_parameter(_INVALID) from None
        if self._is_id:
            return rows.filter(Q(**{f"pk__{'lt' if self.is_down else 'gt'}": pk}))
        return rows.filter(beyond(self.field, value, pk, is_down=self.is_down, is_pk_down=self.is_pk_down))

    @property
    def _is_id(self) -> bool:
        return self.field in {"pk", "id"}


def _field_of(rows: "QuerySet[Any]", path: str) -> "Field[Any, Any]":
    model = rows.model
    *ways, name = path.split("__")
    for way in ways:
        model = model._meta.get_field(way).related_model  # noqa: SLF001 - Django's way
    options = model._meta  # noqa: SLF001 - as above
    found: Field[Any, Any] = options.pk if name == "pk" else options.get_field(name)
    return found


def _read(cursor: str, field: "Field[Any, Any]") -> tuple[object, int]:
    """The value of *field* as its database has it, and an id, from what :meth:`CursorOrder.cursor` wrote.

    Raises:
        ValueError: it wrote no such thing; so are the other errors that its caller catches.
    """
    text, pk = parse_json(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if not isinstance(text, str) or "\0" in text or not isinstance(pk, int) or not 0 <= pk <= ID_LIMIT:
        raise ValueError
    value = field.to_python(text)
    if isinstance(value, int) and abs(value) > ID_LIMIT:
        raise ValueError
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError
        return value.astimezone(UTC), pk
    return value, pk
