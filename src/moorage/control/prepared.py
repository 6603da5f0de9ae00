"""Queries that a thread compiles once: making their SQL costs Django several times what running it does.

For the few that each token for the registry needs. What changes from call to call is a text or a number.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.query import ModelIterable

AnyModel = TypeVar("AnyModel", bound=models.Model)

_FIRST_NUMBER = 32_000
"""Of those that stand for values: any integer field could have it."""


class PreparedQuery(Generic[AnyModel]):
    """A query for whole models, and those beside them by ``select_related``."""

    def __init__(self, make: Callable[..., "models.QuerySet[AnyModel]"]) -> None:
        """*make* gives the query for values, each of which has to be a parameter of its SQL."""
        self._make = make
        self._local = threading.local()

    def rows(self, *values: str | int) -> Sequence[AnyModel]:
        """Return what the query finds for *values*; their number may differ from call to call."""
        kept: dict[tuple[type, ...], _Compiled] = self._local.__dict__.setdefault("kept", {})
        kinds = tuple(type(value) for value in values)
        if kinds not in kept:
            kept[kinds] = _Compiled(self._make, kinds)
        found: Sequence[AnyModel] = kept[kinds].rows(values)
        return found


class _Compiled:
    """A query of one thread, for values of certain types."""

    def __init__(self, make: Callable[..., Any], kinds: Sequence[type]) -> None:
        marks = [f"\x01{at}" if kind is str else _FIRST_NUMBER + at for at, kind in enumerate(kinds)]
        self._queryset = make(*marks)
        self._compiler = self._queryset.query.get_compiler(using=DEFAULT_DB_ALIAS)
        self._sql, self._parameters = self._compiler.as_sql()
        self._places = [marks.index(one) if one in marks else None for one in self._parameters]
        if not set(range(len(marks))) <= set(self._places):
            msg = "a value is no parameter of the query as it is"
            raise ValueError(msg)
        self._values: Sequence[str | int] = ()
        # Django's own iterator asks the query for a compiler, and that for its SQL: it is given what is there already.
        self._compiler.as_sql = self._filled
        self._queryset.query.get_compiler = lambda **_: self._compiler

    def rows(self, values: Sequence[str | int]) -> Sequence[Any]:
        self._values = values
        return list(ModelIterable(self._queryset))

    def _filled(self, **_: object) -> tuple[str, tuple[object, ...]]:
        parameters = zip(self._places, self._parameters, strict=True)
        return self._sql, tuple(same if place is None else self._values[place] for place, same in parameters)
