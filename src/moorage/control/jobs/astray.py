"""Rows that are due at a time that no pause of any job leads to, as a clock that was far ahead leaves them.

Without this they would wait until that time comes: no cleanup, no deletion of images, no measurement for a year.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.apps import apps
from django.db import models

from moorage.control.jobs.leases import LeaseFields
from moorage.control.jobs.loop import Turn

ASTRAY = timedelta(days=31)
"""Further ahead than this no job puts a row: the longest pause is of a day."""
EVERY_S = 3600.0
_PORTION = 500

_LOG = structlog.get_logger("moorage.control.jobs")


class AstrayRows:
    """Makes such rows due, at the start and every hour."""

    name = "astray-rows"
    slots = 1

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._next_at = float("-inf")

    def step(self, turn: Turn) -> bool:
        """Look, if an hour has passed; there is never a next thing to do."""
        if self._monotonic() < self._next_at:
            return False
        self._next_at = self._monotonic() + EVERY_S
        count = sum(_mend(rows, due, turn.now) for rows, due in _leased())
        if count:
            _LOG.warning("rows were due at times that no job leads to: was a clock wrong?", count=count)
        return False


def _leased() -> Iterator[tuple["models.QuerySet[Any]", str]]:
    for model in apps.get_models():
        for fields in vars(model).values():
            if isinstance(fields, LeaseFields):
                yield model._default_manager.all(), fields.due  # noqa: SLF001 - Django's own way


def _mend(rows: "models.QuerySet[Any]", due: str, now: datetime) -> int:
    count, astray = 0, rows.filter(**{f"{due}__gt": now + ASTRAY})
    while found := list(astray.order_by().values_list("pk", flat=True)[:_PORTION]):
        count += rows.filter(pk__in=found).update(**{due: now})
    return count
