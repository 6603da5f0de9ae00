"""Pages of lists by key: a page begins after the last row of the one before, however far in the list that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.db.models import DateTimeField, IntegerField, Model, Q, QuerySet
from django.http import HttpRequest

from moorage.control.namespaces.choosing import beyond
from moorage.control.registry.reading_answers import moment_of

ROWS = 20
PLAIN_ROWS = 100
COUNT_LIMIT = 10_000
"""The number of rows is exact up to this."""
_KEY_LIMIT = 600
_DIGITS = 18
"""Of a number that every database has room for."""

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOrder:
    """An order that a list can have."""

    word: str
    """Its word in the address; with a minus it goes down."""
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[Row]):
    """One page."""

    rows: Sequence[Row]
    after: str = ""
    """Key of the next page; empty: there is none."""
    before: str = ""
    sort: str = ""
    total: int = 0

    @property
    def is_more(self) -> bool:
        """True if there are more rows than are counted."""
        return self.total > COUNT_LIMIT

    @property
    def ways(self) -> bool:
        """True if there is another page."""
        return bool(self.after or self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRows(Generic[Row]):
    """The beginning of a list that has no pages."""

    rows: Sequence[Row]
    has_more: bool


def key_page(
    request: HttpRequest, rows: QuerySet[Row], orders: Sequence[ListOrder], *, size: int = ROWS, among: Sequence[Q] = ()
) -> ListPage[Row]:
    """Return the page of *rows* that the address asks for; the first of *orders* is the usual one.

    *among*: conditions that exclude each other, and of which each row meets one. An index may have the order of the
    rows of each, while none has it for all.
    """
    asked = request.GET.get("sort", "")
    order, is_down = _order(asked, orders)
    before, after = request.GET.get("before", "")[:_KEY_LIMIT], request.GET.get("after", "")[:_KEY_LIMIT]
    total = rows.order_by()[: COUNT_LIMIT + 1].count()  # In no order: a database would sort all of them first.
    is_back = bool(before) and not after
    key = _parsed(rows, order.field, before if is_back else after)
    goes_down = is_down != is_back
    cut = rows
    if key is not None:
        cut = rows.filter(beyond(order.field, *key, is_down=goes_down, is_pk_down=goes_down))
    sign = "-" if goes_down else ""
    ordered = cut.order_by(f"{sign}{order.field}", f"{sign}pk")
    parts = [ordered.filter(part)[: size + 1] for part in among] or [ordered[: size + 1]]
    found = [row for part in parts for row in part]
    if len(parts) > 1:
        found = sorted(found, key=lambda row: (_value(row, order.field), row.pk), reverse=goes_down)[: size + 1]
    is_full, found = len(found) > size, found[:size]
    if is_back:
        found.reverse()
    has_next, has_previous = (bool(key), is_full) if is_back else (is_full, key is not None)
    return ListPage(
        rows=found,
        after=_key(found[-1], order.field) if found and has_next else "",
        before=_key(found[0], order.field) if found and has_previous else "",
        sort=f"{'-' if is_down else ''}{order.word.removeprefix('-')}",
        total=total,
    )


def first_rows(rows: QuerySet[Row], limit: int) -> FirstRows[Row]:
    """Return the first of *rows*, for a list that is hardly ever longer than *limit*."""
    found = list(rows[: limit + 1])
    return FirstRows(rows=found[:limit], has_more=len(found) > limit)


def _order(asked: str, orders: Sequence[ListOrder]) -> tuple[ListOrder, bool]:
    by_word = {order.word.removeprefix("-"): order for order in orders}
    word = asked.removeprefix("-")
    if word in by_word:
        return by_word[word], asked.startswith("-")
    return orders[0], orders[0].word.startswith("-")


def _value(row: Model, field: str) -> Any:  # noqa: ANN401 - whatever the field is
    value: object = row
    for part in field.split("__"):
        value = getattr(value, part)
    return value


def _key(row: Model, field: str) -> str:
    value = _value(row, field)
    text = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
    return f"{text},{row.pk}"


def _parsed(rows: QuerySet[Row], field: str, text: str) -> tuple[object, int] | None:
    """The key; None: there is none, or it makes no sense, and the first page is shown."""
    value, _, pk = text.rpartition(",")
    if not pk.isascii() or not pk.isdigit() or len(pk) > _DIGITS or "\0" in value:
        return None
    try:
        kind = rows.model._meta.get_field(field.partition("__")[0])  # noqa: SLF001 - Django's way
        if isinstance(kind, IntegerField):
            return (int(value), int(pk)) if len(value) <= _DIGITS else None
        key = moment_of(value) if isinstance(kind, DateTimeField) else value
        return (key, int(pk)) if key is not None else None
    except ValueError:
        return None
