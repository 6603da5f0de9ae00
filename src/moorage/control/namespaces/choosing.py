"""Conditions that an index answers: what is below a namespace or after a row, and what one of several chooses."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, TypeVar

from django.apps import apps
from django.db import connection
from django.db.models import Q, QuerySet

FEW = 1000
"""Rows that are named by their ids, at most."""

Rows = TypeVar("Rows", bound="QuerySet[Any]")


class RowCondition(NamedTuple):
    """A condition on rows."""

    asked: Q
    """As an index answers it."""
    walked: Q
    """As it is tried on each row of a walk: a database that sees an index for it would leave the walk."""
    lineage: str = ""
    """Of what is below a namespace: that one's, if the rows have :attr:`place` to say in which namespace they are."""
    place: str = ""


def one(condition: Q) -> RowCondition:
    """Return a condition that is asked and tried in the same words."""
    return RowCondition(condition, condition)


def below(lineage: str, field: str = "lineage") -> RowCondition:
    """Return the condition that *field* is *lineage* or begins with it."""
    found = Q(**{f"{field}__startswith": lineage})
    if connection.vendor != "sqlite":
        way, _, last = field.rpartition("__")
        return RowCondition(found, found, lineage, f"{way}_id") if last == "lineage" else one(found)
    # Its LIKE asks no index. What begins with "3/17/" comes before "3/170", as 0 follows the slash.
    return RowCondition(found & Q(**{f"{field}__gte": lineage, f"{field}__lt": f"{lineage[:-1]}0"}), found)


def beyond(field: str, value: object, pk: int, *, is_down: bool, is_pk_down: bool) -> Q:
    """Return the condition of what comes after a row in an order by *field*, and by id where that is equal."""
    side, pk_side = ("lt" if down else "gt" for down in (is_down, is_pk_down))
    # The first says nothing more; an alternative alone is no range of an index.
    return Q(**{f"{field}__{side}e": value}) & (Q(**{f"{field}__{side}": value}) | Q(**{f"pk__{pk_side}": pk}))


def any_of(rows: Rows, parts: Sequence[RowCondition]) -> Rows:
    """Return those of *rows* that one of *parts* chooses.

    No index has both what they ask for and the order of a list. Where they are few, they are named by their ids; of
    many, a walk in that order soon meets enough for a page.
    """
    ids = few_ids(rows.model._default_manager.all(), parts)  # noqa: SLF001 - Django's way
    if ids is not None:
        return rows.filter(pk__in=ids)
    tried = [_by_places(parts[0])] if len(parts) == 1 else [part.walked for part in parts]
    return rows.filter(reduce(or_, tried))


def few_ids(rows: "QuerySet[Any]", parts: Sequence[RowCondition]) -> set[int] | None:
    """Return the ids of those of *rows* that one of *parts* chooses; None: they are many."""
    if not parts:
        return set()
    first, *others = (rows.filter(part.asked).order_by().values_list("pk", flat=True) for part in parts)
    ids = list(first.union(*others, all=True)[: FEW + 1])  # All of them: those that are there twice are not looked for.
    return set(ids) if len(ids) <= FEW else None


def _by_places(part: RowCondition) -> Q:
    """The condition as the ids of namespaces, if those are few.

    PostgreSQL has statistics of how many rows have one of these, while it guesses that hardly any lineage begins with a
    text: then it would read and sort all that is below.
    """
    if not part.lineage:
        return part.walked
    places = apps.get_model("namespaces", "Namespace")._default_manager.all()  # noqa: SLF001 - Django's way
    ids = few_ids(places, [below(part.lineage)])
    return part.walked if ids is None else Q(**{f"{part.place}__in": sorted(ids)})
