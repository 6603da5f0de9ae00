"""``moorage control audit``: who has changed what."""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.control_rows import ConfigOption, Row, open_database, print_rows
from moorage.cli.options import AsCSV, AsJSON, see_that_one_form
from moorage.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from moorage.control.audit.models import AuditEntry

audit_app = typer.Typer(help="The log of every change.", no_args_is_help=True, rich_markup_mode=None)


@audit_app.command("export")
def export_audit(
    *,
    since: Annotated[str, typer.Option(metavar="TIME", help="From then on: 2026-11-29 or 2026-11-29T12:00Z.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Before then.")] = "",
    as_csv: AsCSV = False,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Print every change with its values, oldest first."""
    see_that_one_form(as_csv=as_csv, as_json=as_json)
    first, end = _moment("--since", since), _moment("--until", until)
    open_database(config)
    from moorage.control.audit.exporting import as_csv_lines, as_json_lines  # noqa: PLC0415 - Django has started
    from moorage.control.audit.models import AuditEntry  # noqa: PLC0415 - as above

    rows = AuditEntry.objects.within(first, end)
    for text in as_json_lines(rows) if as_json else as_csv_lines(rows):
        sys.stdout.write(text)


@audit_app.command("list")
def list_audit(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """List the last changes, newest first."""
    open_database(config)
    from moorage.control.audit.models import AuditEntry  # noqa: PLC0415 - Django has started

    print_rows([_row(row) for row in AuditEntry.objects.all()[:limit]], as_json=as_json, things="changes")


def _row(row: "AuditEntry") -> Row:
    return {
        "at": row.at.isoformat(timespec="seconds"),
        "who": row.actor_name,
        "by": row.credential,
        "from": row.address,
        "action": row.action,
        "target": f"{row.target_kind} {row.target_name}",
        "details": json.dumps(row.details),
    }


def _moment(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError([Mistake(option, f"{text[:40]!r} is no time; 2026-11-29T12:00Z is one")]) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
