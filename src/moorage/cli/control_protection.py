"""``moorage control protection``: the rules of projects that protect repositories and tags."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from moorage.cli.control_rows import ConfigOption, Row, not_there, open_database, print_row, print_rows, project_at
from moorage.cli.options import AsJSON
from moorage.errors import Refused

if TYPE_CHECKING:
    from moorage.control.protection.models import ProtectedTagPattern, RepositoryProtection

protection_app = typer.Typer(
    help="Rules that protect repositories and tags.", no_args_is_help=True, rich_markup_mode=None
)

ProjectPath = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's path, such as acme/app.")]
Kind = Annotated[Literal["repository", "tag"], typer.Argument(metavar="KIND", help="repository or tag.")]
Level = Annotated[str, typer.Option(help="The least role: maintainer, owner or admin.")]


@protection_app.command("list")
def list_rules(path: ProjectPath, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List a project's rules, those of immutable tags too."""
    open_database(config)
    from moorage.control.protection.models import (  # noqa: PLC0415 - Django has started
        ProtectedTagPattern,
        RepositoryProtection,
    )

    project = project_at(path)
    rows = [
        *map(_row, RepositoryProtection.objects.filter(project=project)),
        *map(_row, ProtectedTagPattern.objects.filter(project=project)),
    ]
    print_rows(rows, as_json=as_json, things=f"rules of {path}")


@protection_app.command("stale")
def list_stale_rules(
    *,
    move: Annotated[bool, typer.Option("--move", help="Give them the pattern that is listed.")] = False,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """List rules of all projects that protect nothing, and the pattern that each would have to have.

    A project that was moved before rules followed their project has left them at its old path. Where the audit log
    says at which path a rule was made, --move has it protect the same images at the present one.
    """
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.protection.stale_rules import move_stale_rule, stale_rules  # noqa: PLC0415 - as above

    rows = []
    for found in list(stale_rules()):
        pattern, why = found.pattern, found.why
        if move and pattern:
            try:
                move_stale_rule(found, by=COMMAND_LINE)
            except Refused as exc:  # Such as a second one that belongs to the same place.
                pattern, why = "", str(exc)
        named = {"project": found.row.project.full_path, **_row(found.row)}
        rows.append({**named, "moved" if move else "to_move": bool(pattern), "becomes": pattern, "why": why})
    print_rows(rows, as_json=as_json, things="rules that protect nothing")


@protection_app.command("add")
def add_rule(
    path: ProjectPath,
    kind: Kind,
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="A path with *, or RE2 that a tag's name has.")],
    *,
    push: Level = "",
    delete: Level = "",
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Protect repositories or tags; tags become immutable if no level is named."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.protection.changes import create_repository_rule, create_tag_rule  # noqa: PLC0415 - as above

    create = create_repository_rule if kind == "repository" else create_tag_rule
    made = create(
        project_at(path),
        pattern,
        by=COMMAND_LINE,
        minimum_access_level_for_push=push,
        minimum_access_level_for_delete=delete,
    )
    does = "makes immutable what matches" if _row(made).get("immutable") else "protects"
    print_row(_row(made), as_json=as_json, text=lambda: f"rule {made.pk} {does} {made}")


@protection_app.command("remove")
def remove_rule(
    path: ProjectPath,
    kind: Kind,
    rule_id: Annotated[int, typer.Argument(metavar="RULE", help="The number of the rule, as list has it.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Take a rule away."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.protection.changes import delete_rule  # noqa: PLC0415 - as above
    from moorage.control.protection.models import ProtectedTagPattern, RepositoryProtection  # noqa: PLC0415 - as above

    model = RepositoryProtection if kind == "repository" else ProtectedTagPattern
    row = model.objects.filter(project=project_at(path), pk=rule_id).first()
    if row is None:
        raise not_there("rule", rule_id)
    delete_rule(row, by=COMMAND_LINE)
    print(f"{row} is not protected by this rule any more")


def _row(rule: "RepositoryProtection | ProtectedTagPattern") -> Row:
    from moorage.control.protection.models import ProtectedTagPattern  # noqa: PLC0415 - Django has started

    is_tag = isinstance(rule, ProtectedTagPattern)
    return {
        "kind": "tag" if is_tag else "repository",
        "id": rule.pk,
        "pattern": str(rule),
        "push": rule.minimum_access_level_for_push,
        "delete": rule.minimum_access_level_for_delete,
        "immutable": isinstance(rule, ProtectedTagPattern) and rule.is_immutable,
    }
