"""``moorage control repository``: repositories as the control plane has them, with what the registry says."""

from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.control_rows import ConfigOption, not_there, open_database, print_rows, project_at
from moorage.cli.options import AsJSON

if TYPE_CHECKING:
    from moorage.control.images.models import ImageRepository

repository_app = typer.Typer(help="Repositories of projects.", no_args_is_help=True, rich_markup_mode=None)

RepositoryPath = Annotated[str, typer.Argument(metavar="REPOSITORY", help="Its path, such as acme/app/web.")]


@repository_app.command("list")
def list_repositories(
    project: Annotated[str, typer.Option(help="Those of one project only.")] = "",
    *,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """List the repositories."""
    open_database(config)
    from moorage.control.images.models import ImageRepository  # noqa: PLC0415 - Django has started

    found = ImageRepository.objects.select_related("project").order_by("project__full_path", "name")
    if project:
        found = found.of_project(project_at(project))
    rows = [
        {"id": each.pk, "path": each.path, "project": each.project.full_path, "status": each.status} for each in found
    ]
    print_rows(rows, as_json=as_json, things=f"repositories of {project}" if project else "repositories")


@repository_app.command("tags")
def list_tags(path: RepositoryPath, *, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List the tags of a repository, as the registry has them."""
    open_database(config)
    from moorage.control.images.questions import tag_names  # noqa: PLC0415 - Django has started

    print_rows([{"name": name} for name in tag_names(_repository(path))], as_json=as_json, things=f"tags in {path}")


@repository_app.command("delete")
def delete(path: RepositoryPath, *, config: ConfigOption = None) -> None:
    """Have a repository deleted with all its tags; a job does it while the control plane serves."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.changes import schedule_deletion  # noqa: PLC0415 - as above

    schedule_deletion(_repository(path), by=COMMAND_LINE, person=None)
    print(f"{path} is to be deleted")


def _repository(path: str) -> "ImageRepository":
    from moorage.control.images.models import ImageRepository  # noqa: PLC0415 - Django has started

    found = ImageRepository.objects.select_related("project", "project__namespace")
    wanted = path.lower()
    for cut in range(wanted.count("/") + 1):
        parts = wanted.rsplit("/", cut)
        repository = found.filter(project__full_path__iexact=parts[0], name="/".join(parts[1:])).first()
        if repository is not None:
            return repository
    raise not_there("repository", path)
