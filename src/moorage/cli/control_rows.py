"""Parts that the commands of ``moorage control`` share: the configuration, rows as they are printed, rows by name."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from moorage.cli.control_serving import control_file
from moorage.cli.tables import say_none
from moorage.errors import Refused

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

    from moorage.control.accounts.models import User
    from moorage.control.namespaces.models import Namespace
    from moorage.control.projects.models import Project

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The control.yml; else MOORAGE_CONTROL; else data/control.yml."),
]

Row = Mapping[str, object]
AnyRow = TypeVar("AnyRow", bound="Model")


def open_database(config: Path | None) -> None:
    """Start Django over the database of the configuration.

    Raises:
        ConfigurationError: it cannot be used.
    """
    from moorage.control.serving.database_opening import open_configured  # noqa: PLC0415 - only commands that need it wait

    open_configured(control_file(config))


def print_rows(rows: Sequence[Row], *, as_json: bool, things: str) -> None:
    """Print *rows* as JSON, or as a table without lines; where there is none, that there are no *things*."""
    if as_json:
        print(json.dumps(list(rows), indent=2))
        return
    if not rows:
        say_none(things)
        return
    names = list(rows[0])
    cells = [names, *[[_text(row[name]) for name in names] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_row(row: Row, *, as_json: bool, text: Callable[[], str]) -> None:
    """Print one row as JSON, or *text*."""
    print(json.dumps(row, indent=2) if as_json else text())


def user_named(username: str) -> "User":
    """Return a user.

    Raises:
        Refused: there is none of this name.
    """
    from moorage.control.accounts.models import User  # noqa: PLC0415 - Django has started

    found: User = first_of(User.objects.named(username), "user", username)
    return found


def group_at(path: str) -> "Namespace":
    """Return a group.

    Raises:
        Refused: there is none of this path.
    """
    from moorage.control.namespaces.models import Namespace  # noqa: PLC0415 - as above

    return first_of(Namespace.objects.groups().at(path), "group", path)


def project_at(path: str) -> "Project":
    """Return a project.

    Raises:
        Refused: there is none of this path.
    """
    from moorage.control.projects.models import Project  # noqa: PLC0415 - as above

    return first_of(Project.objects.select_related("namespace").at(path), "project", path)


def first_of(rows: "QuerySet[AnyRow]", kind: str, name: str) -> AnyRow:
    """Return the row that is asked for by *name*.

    Raises:
        Refused: there is none.
    """
    found = rows.first()
    if found is None:
        raise not_there(kind, name)
    return found


def not_there(kind: str, name: object) -> Refused:
    """Make the refusal of a name that nothing has."""
    return Refused(f"there is no {kind} {name}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "-" if value in (None, "") else str(value)
