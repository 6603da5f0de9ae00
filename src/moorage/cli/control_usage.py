"""``moorage control usage``: who takes how much room, on which day, and the quotas that bound it."""

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.amounts import shown_bytes
from moorage.cli.control_rows import ConfigOption, Row, not_there, open_database, print_row, print_rows
from moorage.cli.options import AsCSV, AsJSON, see_that_one_form
from moorage.errors import ConfigurationError, Mistake

if TYPE_CHECKING:
    from moorage.control.namespaces.models import Namespace
    from moorage.control.projects.models import Project
    from moorage.control.usage.models import UsagePlace

usage_app = typer.Typer(help="Room that images take, and quotas.", no_args_is_help=True, rich_markup_mode=None)

PlacePath = Annotated[str, typer.Argument(metavar="PATH", help="A project's path, a group's, or a user's name.")]

_NONE = "none"
_NAMED = 5
"""Projects without a size that are named."""
_AMOUNT = re.compile(r"([0-9]{1,18})(B|KiB|MiB|GiB|TiB)?")
_UNITS = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@usage_app.command("report")
def report(
    *,
    as_csv: AsCSV = False,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Print the size of each project that takes room."""
    see_that_one_form(as_csv=as_csv, as_json=as_json)
    open_database(config)
    from moorage.control.usage.questions import (  # noqa: PLC0415 - Django has started
        size_report,
        size_report_as_csv,
        unmeasured_projects,
    )

    if as_json:
        print(json.dumps([row.shown() for row in size_report()], indent=2))
    else:
        sys.stdout.writelines(size_report_as_csv())
    if waiting := unmeasured_projects(_NAMED + 1):
        more = ", and more" if len(waiting) > _NAMED else ""
        print(
            f"with images, and not measured yet: {', '.join(waiting[:_NAMED])}{more}; "
            f"at once: moorage control usage refresh {waiting[0]}",
            file=sys.stderr,
        )


@usage_app.command("show")
def show_usage(path: PlacePath, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """Print the size of a place, and its quotas."""
    open_database(config)
    from moorage.control.usage.questions import usage_of  # noqa: PLC0415 - Django has started

    _print(usage_of(_place_at(path)), as_json=as_json)


@usage_app.command("days")
def list_days(path: PlacePath, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List the size of a place on each day."""
    open_database(config)
    from moorage.control.usage.models import DailyUsage  # noqa: PLC0415 - Django has started
    from moorage.control.usage.questions import usage_of  # noqa: PLC0415 - as above

    days = DailyUsage.objects.filter(place_id=usage_of(_place_at(path)).pk)
    print_rows(
        [{"day": row.day.isoformat(), "size_bytes": row.size_bytes} for row in days],
        as_json=as_json,
        things=f"days of {path}",
    )


@usage_app.command("quota")
def set_quota(
    path: PlacePath,
    *,
    soft: Annotated[str | None, typer.Option(metavar="SIZE", help="Above it, it is said: 10GiB, or none.")] = None,
    hard: Annotated[str | None, typer.Option(metavar="SIZE", help="Above it, pushes are refused: or none.")] = None,
    warn: Annotated[int | None, typer.Option(metavar="PERCENT", help="Of the lower quota, to warn at.")] = None,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Change the quotas of a project or namespace."""
    values: dict[str, int | None] = {} if warn is None else {"warning_percent": warn}
    for option, text in (("soft", soft), ("hard", hard)):
        if text is not None:
            values[f"{option}_bytes"] = _amount(f"--{option}", text)
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.usage.changes import change_quota  # noqa: PLC0415 - as above

    _print(change_quota(_place_at(path), by=COMMAND_LINE, **values), as_json=as_json)


@usage_app.command("refresh")
def refresh(path: PlacePath, *, config: ConfigOption = None) -> None:
    """Have a place measured as soon as a worker is free."""
    open_database(config)
    from moorage.control.usage.changes import request_measurement  # noqa: PLC0415 - Django has started

    request_measurement(_place_at(path))
    print(f"{path} is to be measured")


def _amount(option: str, text: str) -> int | None:
    """A number of bytes; None: no quota."""
    found = _AMOUNT.fullmatch(text)
    if text == _NONE:
        return None
    if found is None:
        raise ConfigurationError([Mistake(option, f"{text[:40]!r} is no size; 10GiB is one, and none takes it away")])
    return int(found.group(1)) * _UNITS[found.group(2)]


def _place_at(path: str) -> "Project | Namespace":
    from moorage.control.namespaces.models import Namespace  # noqa: PLC0415 - Django has started
    from moorage.control.projects.models import Project  # noqa: PLC0415 - as above

    project = Project.objects.select_related("namespace").at(path).first()
    found = project or Namespace.objects.at(path).first()
    if found is None:
        raise not_there("place", path)
    return found


def _print(row: "UsagePlace", *, as_json: bool) -> None:
    shown: Row = {
        "path": row.audit_name,
        "size_bytes": row.size_bytes,
        "measured_at": row.measured_at.isoformat(timespec="seconds") if row.measured_at else None,
        "soft_bytes": row.soft_bytes,
        "hard_bytes": row.hard_bytes,
        "warning_percent": row.warning_percent,
        "quota_state": row.state.value,
        "last_failure": row.last_failure,
    }
    if as_json:
        print_row(shown, as_json=True, text=str)
        return
    size = "not measured yet" if row.size_bytes is None else shown_bytes(row.size_bytes)
    print(f"{row.audit_name}: {size}")
    print_rows([{"value": name, "is": value} for name, value in shown.items()], as_json=False, things="values")
