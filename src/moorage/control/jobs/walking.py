"""Looks through a table for rows that lack something, a few rows at a time: nobody reads all of it for each look."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class KeyWalk:
    """A place in a table, by the key: it goes on with what is new, and from the first row again after a while."""

    def __init__(self, *, portion: int, again: timedelta) -> None:
        """*portion*: rows of one look. *again*: the time from one beginning to the next."""
        self._portion = portion
        self._again = again
        self._last = 0
        self._began_at: datetime | None = None

    def next(self, rows: "models.QuerySet[Row, Any]", now: datetime) -> list[Row]:
        """Return the next of *rows*, which are of one table in any order; empty: there is none for now."""
        if self._began_at is None or now >= self._began_at + self._again:
            self._last, self._began_at = 0, now
        found = list(rows.filter(pk__gt=self._last).order_by("pk")[: self._portion])
        if found:
            self._last = found[-1].pk
        return found
