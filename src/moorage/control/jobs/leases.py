"""Leases of due rows, so that several processes share work with nothing but the database: the due time is the lease.

A worker takes the first row that is due by setting its due time ahead and writing a random owner. While it works, it
renews. What it found is written only if the row is still its own. A worker that is killed leaves a row that comes due
again: so work is idempotent.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import models, transaction

Row = TypeVar("Row", bound=models.Model)

OWNER_LENGTH = 32


@dataclass(frozen=True, slots=True)
class LeaseFields:
    """The names of the two fields of a table that make its leases."""

    due: str
    """A moment; null: the row is not to be worked on."""
    owner: str
    """A text of :data:`OWNER_LENGTH`; empty: it has none."""

    def take(
        self, rows: "models.QuerySet[Row]", *, now: datetime, until: datetime, is_due_without: bool = False
    ) -> Row | None:
        """Take the first of *rows* that is due, in their order; None: none is.

        The row that comes back is as it was before, but for its lease. With *is_due_without*, a row whose due time is
        null is due as well.
        """
        with transaction.atomic():
            is_due = models.Q(**{f"{self.due}__lte": now})
            due = rows.filter(is_due | models.Q(**{f"{self.due}__isnull": True}) if is_due_without else is_due)
            if not due.query.order_by:
                due = due.order_by(self.due, "pk")
            # SQLite has no such locks, and needs none: the transaction has been the only writer since it began.
            row = due.select_for_update(skip_locked=True, of=("self",)).first()
            if row is None:
                return None
            setattr(row, self.due, until)
            setattr(row, self.owner, secrets.token_hex(OWNER_LENGTH // 2))
            row.save(update_fields=[self.due, self.owner])
            return row

    def renew(self, row: Row, *, until: datetime) -> bool:
        """Hold *row* for longer; False: another has it."""
        return self.own(row).update(**{self.due: until}) == 1

    def settle(self, row: Row, **changes: Any) -> bool:  # noqa: ANN401 - as Django's update
        """Write what came of the work and give the lease back; False: another has the row, and nothing is written."""
        return self.own(row).update(**{self.owner: "", **changes}) == 1

    def own(self, row: Row) -> "models.QuerySet[Row]":
        """Return *row* if it is still the caller's."""
        kind = type(row)
        return kind._default_manager.filter(pk=row.pk, **{self.owner: getattr(row, self.owner)})  # noqa: SLF001 - Django's own way
