"""``moorage control policy``: cleanup policies of projects, what they would do, and what they did."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage.cli.amounts import shown_bytes
from moorage.cli.control_rows import (
    ConfigOption,
    Row,
    not_there,
    open_database,
    print_row,
    print_rows,
    project_at,
    user_named,
)
from moorage.cli.options import AsJSON
from moorage.errors import ConfigurationError, Mistake, Refused

if TYPE_CHECKING:
    from moorage.control.policies.models import CleanupPolicy, CleanupRun
    from moorage.control.projects.models import Project

policy_app = typer.Typer(help="Cleanup policies of projects.", no_args_is_help=True, rich_markup_mode=None)

ProjectPath = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's path, such as acme/app.")]
_NONE = "none"


@policy_app.command("list")
def list_policies(
    *,
    disabled: Annotated[bool, typer.Option("--disabled", help="Only projects whose policy is off.")] = False,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """List the projects that have images, each with its policy."""
    open_database(config)
    from moorage.control.policies.questions import (  # noqa: PLC0415 - Django has started
        projects_with_images,
        projects_without_cleanup,
    )

    projects = projects_without_cleanup() if disabled else projects_with_images()
    rows = [_policy_row(project) for project in projects.select_related("container_expiration_policy")]
    print_rows(rows, as_json=as_json, things="projects with images" + (" whose policy is off" if disabled else ""))


@policy_app.command("show")
def show_policy(path: ProjectPath, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """Print a project's policy."""
    open_database(config)
    _print_policy(project_at(path), as_json=as_json)


@policy_app.command("set")
def set_policy(  # noqa: PLR0913 - one option for each value of a policy
    path: ProjectPath,
    *,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Switch it on or off.")] = None,
    cadence: Annotated[str | None, typer.Option(help="1d, 7d, 14d, 1month or 3month.")] = None,
    keep_n: Annotated[str | None, typer.Option(help="Newest that stay: 1, 5, 10, 25, 50, 100 or none.")] = None,
    older_than: Annotated[str | None, typer.Option(help="Only older ones go: 7d, 14d, 30d, 60d, 90d or none.")] = None,
    name_regex: Annotated[str | None, typer.Option(help="RE2 that the whole name of what goes matches.")] = None,
    name_regex_keep: Annotated[str | None, typer.Option(help="RE2 of names that stay; empty: none.")] = None,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Change a project's policy; its next run is then one interval away."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.policies.changes import change_policy  # noqa: PLC0415 - as above

    given: dict[str, Any] = {
        "enabled": enabled,
        "cadence": cadence,
        "name_regex": name_regex,
        "name_regex_keep": name_regex_keep,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if keep_n is not None:
        values["keep_n"] = None if keep_n == _NONE else _number(keep_n)
    if older_than is not None:
        values["older_than"] = None if older_than == _NONE else older_than
    project = project_at(path)
    change_policy(project, by=COMMAND_LINE, **values)
    _print_policy(project_at(path), as_json=as_json)


@policy_app.command("preview")
def preview_policy(path: ProjectPath, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """Print each tag with the rule that keeps or deletes it; nothing is deleted."""
    open_database(config)
    from moorage.control.images.models import ImageRepository  # noqa: PLC0415 - Django has started
    from moorage.control.policies.previews import preview_cleanups  # noqa: PLC0415 - as above

    project = project_at(path)
    selection = _policy(project).selection
    repositories = ImageRepository.objects.of_project(project).select_related("project").order_by("name")
    found = preview_cleanups(list(repositories), selection)
    rows: list[Row] = [
        {"repository": preview.repository.path, "tag": tag.name, "rule": tag.verdict.value, "why": tag.explanation}
        for preview in found.previews
        for tag in preview.judged.verdicts
    ]
    deleted, freed = sum(len(preview.judged.deleted) for preview in found.previews), found.freed
    if as_json:
        row = {"tags": rows, "deleted": deleted, "freed_bytes": freed.count, "is_freed_exact": freed.is_exact}
        print_row(row, as_json=True, text=str)
        return
    print_rows(rows, as_json=False, things=f"tags in {path}")
    most = "" if freed.is_exact else "at most "
    size = "bytes not counted" if freed.count is None else f"{most}{shown_bytes(freed.count)} come free"
    print(f"{deleted} of {len(rows)} tags would go; {size}")


@policy_app.command("run")
def run_policy(
    path: ProjectPath,
    *,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Run it here and now, with what this user may delete; on or off."),
    ] = None,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Have a policy run as soon as a worker of the control plane is free; with --user at once, with its reports.

    Status 1: it is off, and no user was named; or a run at once was not finished.
    """
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.policies.changes import run_now  # noqa: PLC0415 - as above

    project = project_at(path)
    if user is not None:
        _run_as(project, user, as_json=as_json)
        return
    if not _policy(project).enabled:
        msg = f"the policy of {path} is off, so nothing runs: moorage control policy set {path} --enabled"
        raise Refused(msg)
    run_now(project, by=COMMAND_LINE)
    text = f"the policy of {path} is to run; its reports: moorage control policy runs {path}"
    print_row({"project": project.full_path}, as_json=as_json, text=lambda: text)


def _run_as(project: "Project", username: str, *, as_json: bool) -> None:
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above
    from moorage.control.jobs.loop import Turn  # noqa: PLC0415 - as above
    from moorage.control.policies.at_once import clean_project  # noqa: PLC0415 - as above
    from moorage.control.policies.models import RunOutcome  # noqa: PLC0415 - as above

    done = list(clean_project(project, user_named(username), by=COMMAND_LINE, turn=Turn()))
    rows = [{**_run_row(run), "kept": run.kept if as_json else _counts(run.kept)} for run in done]
    print_rows(rows, as_json=as_json, things=f"repositories in {project.full_path}")
    if any(run.outcome != RunOutcome.FINISHED for run in done):
        raise typer.Exit(1)


def _counts(kept: Mapping[str, int]) -> str:
    return ", ".join(f"{rule} {count}" for rule, count in sorted(kept.items()))


@policy_app.command("runs")
def list_runs(path: ProjectPath, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List the reports of a project's runs, newest first."""
    open_database(config)
    from moorage.control.policies.models import CleanupRun  # noqa: PLC0415 - Django has started

    rows = [_run_row(run) for run in CleanupRun.objects.filter(project=project_at(path))]
    print_rows(rows, as_json=as_json, things=f"runs of the policy of {path}")


@policy_app.command("undo")
def undo(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="The number of the run, as runs lists it.")],
    *,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Bring back the tags that a run deleted, as far as garbage collection has left them."""
    open_database(config)
    from moorage.cli.bars import Bars  # noqa: PLC0415 - other commands need not wait for rich
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.policies.models import CleanupRun  # noqa: PLC0415 - as above
    from moorage.control.policies.undoing import UndoneTags, undo_portion  # noqa: PLC0415 - as above
    from moorage.control.protection.rules import Person  # noqa: PLC0415 - as above

    run = CleanupRun.objects.filter(pk=run_id).select_related("repository__project").first()
    if run is None:
        raise not_there("run", run_id)
    # Whoever runs commands on the machine is as an administrator: rules about roles do not hold them.
    found, person = UndoneTags(left=1), Person(0, is_admin=True)
    with Bars(counts=True, is_transient=True) as bars:
        part = f"undo of run {run_id}"
        bars.begins(part, run.deleted_tags.count())
        while found.left:
            before = found.seen
            undo_portion(run, found, by=COMMAND_LINE, person=person)
            bars.advanced(part, found.seen - before)
    row: Row = {
        "restored": found.restored,
        "there": found.there,
        "gone": found.gone,
        "protected": found.protected,
    }
    text = f"{len(found.restored)} tags are back, {len(found.there)} were there, {len(found.gone)} are gone"
    print_row(row, as_json=as_json, text=lambda: text)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ConfigurationError([Mistake("--keep-n", "a number is needed, or none")])
    return int(text)


def _print_policy(project: "Project", *, as_json: bool) -> None:
    row = _policy_row(project)
    if as_json:
        print_row(row, as_json=True, text=str)
    else:
        print_rows([{"value": name, "is": value} for name, value in row.items()], as_json=False, things="values")


def _policy(project: "Project") -> "CleanupPolicy":
    from moorage.control.policies.models import CleanupPolicy  # noqa: PLC0415 - Django has started

    found: CleanupPolicy | None = getattr(project, "container_expiration_policy", None)
    return found or CleanupPolicy(project=project)


def _policy_row(project: "Project") -> Row:
    found = _policy(project)
    return {
        "project_id": project.pk,
        "project": project.full_path,
        "enabled": found.enabled,
        "cadence": found.cadence,
        "keep_n": found.keep_n,
        "older_than": found.older_than,
        "name_regex": found.name_regex,
        "name_regex_keep": found.name_regex_keep,
        "next_run_at": found.next_run_at.isoformat() if found.next_run_at else None,
    }


def _run_row(run: "CleanupRun") -> Row:
    return {
        "id": run.pk,
        "repository": run.repository_path,
        "kind": run.kind,
        "outcome": run.outcome,
        "started_at": run.started_at.isoformat(),
        "tags": run.original_size,
        "deleted": run.deleted_size,
        "message": run.message,
    }
