"""Audit rows as text, oldest first: a few at a time, however many there are."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping

from moorage.control.audit.models import AuditEntry, AuditRows

CHUNK = 1000
"""Rows that are in memory at once."""

FIELDS = (
    "id",
    "at",
    "actor_id",
    "actor_name",
    "credential",
    "address",
    "action",
    "target_kind",
    "target_id",
    "target_name",
    "entity_kind",
    "entity_id",
    "entity_path",
    "details",
)

_FORMULA_STARTS = ("=", "+", "-", "@", ";", "\t", "\r")
"""Source: GitLab gems/csv_builder, ``UNSAFE_EXCEL_PREFIX``; OWASP, *CSV Injection*."""


def exported(rows: AuditRows) -> Iterator[Mapping[str, object]]:
    """Yield each of *rows* with all its fields, by their order in time."""
    last, ordered = 0, rows.order_by("pk")
    while True:
        # By key and not by one long read: what is written meanwhile comes too, and no transaction stays open.
        chunk = list(ordered.filter(pk__gt=last)[:CHUNK])
        for row in chunk:
            yield _fields_of(row)
        if len(chunk) < CHUNK:
            return
        last = chunk[-1].pk


def as_json_lines(rows: AuditRows) -> Iterator[str]:
    """Yield the lines of one JSON array, a row on each line."""
    before = "["
    for row in exported(rows):
        yield f"{before}\n{json.dumps(row)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def as_csv_lines(rows: AuditRows) -> Iterator[str]:
    """Yield lines of CSV, the names of the fields first; what was changed is JSON in its field.

    A text that a program for tables would take for a formula has an apostrophe before it.
    """
    yield _csv_line(FIELDS)
    for row in exported(rows):
        yield _csv_line([_cell(row[name]) for name in FIELDS])


def _fields_of(row: AuditEntry) -> dict[str, object]:
    found = {name: getattr(row, name) for name in FIELDS}
    found["at"] = row.at.isoformat()
    return found


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value


def _csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
