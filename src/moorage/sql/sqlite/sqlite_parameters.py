"""Parameters of a statement for SQLite, by their place and not by their number.

Python 3.12.0 to 3.12.3 take ``?1`` for a name, and warn of each at each run; ``?`` is understood by all.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from moorage.sql.base import Value, microseconds
from moorage.sql.sqlite.sqlite_lists import expanded

_PARAMETER = re.compile(r"\?(\d+)")
_STATEMENTS = 1024
"""More than there are; lists of different lengths make some statements several times."""

Order = Callable[[Sequence[Value]], Sequence[Value]]


def bound(text: str, args: tuple[Value, ...]) -> tuple[str, Sequence[Value]]:
    """Write a statement and its values as SQLite takes them: no lists, and in the order of their places."""
    if "= ANY(" in text:
        text, args = expanded(text, args)
    text, order = by_place(text)
    args = stored(args)
    return text, order(args) if order else args


def stored(args: Sequence[Value]) -> tuple[Value, ...]:
    """Return *args* with moments as microseconds.

    Adapters of :mod:`sqlite3` are the process's, and Django, too, sets one for moments: the last to come would win.
    """
    for value in args:
        if isinstance(value, datetime):
            return tuple([microseconds(each) if isinstance(each, datetime) else each for each in args])
    return tuple(args)


@lru_cache(maxsize=_STATEMENTS)
def by_place(text: str) -> tuple[str, Order | None]:
    """Write ``?`` for each ``?n``, and say how to put the values in the order of the places; None: as they are."""
    indexes = [int(number) - 1 for number in _PARAMETER.findall(text)]
    return _PARAMETER.sub("?", text), None if indexes == list(range(len(indexes))) else _order(indexes)


def _order(indexes: list[int]) -> Order:
    if len(indexes) == 1:  # Of one item itemgetter makes no tuple.
        return lambda values: (values[indexes[0]],)
    several: itemgetter[Any] = itemgetter(*indexes)
    return several
