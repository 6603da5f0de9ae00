"""``moorage control group``, ``moorage control project`` and ``moorage control settings``."""

from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.control_rows import (
    ConfigOption,
    Row,
    first_of,
    group_at,
    open_database,
    print_row,
    print_rows,
    project_at,
    user_named,
)
from moorage.cli.options import AsJSON
from moorage.errors import ConfigurationError, Mistake, Refused

if TYPE_CHECKING:
    from moorage.control.namespaces.models import Namespace
    from moorage.control.projects.models import Project

group_app = typer.Typer(help="Groups, and their members.", no_args_is_help=True, rich_markup_mode=None)
project_app = typer.Typer(help="Projects, and their members.", no_args_is_help=True, rich_markup_mode=None)
settings_app = typer.Typer(help="Settings of the instance.", no_args_is_help=True, rich_markup_mode=None)

GroupPath = Annotated[str, typer.Argument(metavar="GROUP", help="The group's path, such as acme/tools.")]
ProjectPath = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's path, such as acme/app.")]
NewPath = Annotated[str, typer.Argument(metavar="NEW", help="The whole path that it will have.")]
Member = Annotated[str, typer.Argument(metavar="USER", help="The member.")]
Role = Annotated[
    int,
    typer.Option(help="10 guest, 20 reporter (pull), 30 developer (push), 40 maintainer, 50 owner; 0 takes out."),
]
VisibilityOption = Annotated[str, typer.Option(help="private, internal or public; else the instance's setting.")]


@group_app.command("list")
def list_groups(*, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List the groups."""
    open_database(config)
    from moorage.control.namespaces.models import Namespace  # noqa: PLC0415 - Django has started

    rows = [_group_row(group) for group in Namespace.objects.groups().order_by("full_path")]
    print_rows(rows, as_json=as_json, things="groups")


@group_app.command("create")
def create_group(
    path: GroupPath,
    *,
    owner: Annotated[str, typer.Option(help="A user who becomes its owner.")] = "root",
    visibility: VisibilityOption = "",
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Make a group; those above it have to be there."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.projects.changes import GroupWish  # noqa: PLC0415 - as above
    from moorage.control.projects.changes import create_group as create  # noqa: PLC0415 - as above

    above, _, name = path.rpartition("/")
    parent = group_at(above) if above else None
    wish = GroupWish(visibility=visibility)
    group = create(name, by=COMMAND_LINE, owner=user_named(owner), parent=parent, wish=wish)
    print_row(_group_row(group), as_json=as_json, text=lambda: f"{group.full_path} is a group now")


@group_app.command("move")
def move_group(path: GroupPath, new: NewPath, *, config: ConfigOption = None) -> None:
    """Give a group another path, with all images.

    Another name, or a place in another group. What is in it comes along.
    """
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.moves import move_group_with_images  # noqa: PLC0415 - as above

    above, _, name = new.rpartition("/")
    group = move_group_with_images(group_at(path), group_at(above) if above else None, name, by=COMMAND_LINE)
    print(f"{path} is {group.full_path} now")


@group_app.command("delete")
def delete_group(
    path: GroupPath,
    *,
    with_projects: Annotated[
        bool, typer.Option("--with-projects", help="Its groups, projects and images too.", show_default=False)
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Delete a group, empty or with all that is in it."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.changes import delete_group_with_images  # noqa: PLC0415 - as above
    from moorage.control.projects.changes import delete_group as delete  # noqa: PLC0415 - as above

    group = group_at(path)
    if with_projects:
        _say_deleted(path, is_gone=delete_group_with_images(group, by=COMMAND_LINE))
    else:
        delete(group, by=COMMAND_LINE)
        _say_deleted(path, is_gone=True)


@group_app.command("member")
def group_member(path: GroupPath, user: Member, *, role: Role = 30, config: ConfigOption = None) -> None:
    """Give a user a role in a group, and so in all that is in it."""
    open_database(config)
    _set_role(group_at(path), user, role)


@project_app.command("list")
def list_projects(*, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """List the projects."""
    open_database(config)
    from moorage.control.projects.models import Project  # noqa: PLC0415 - Django has started

    rows = [_project_row(project) for project in Project.objects.order_by("full_path")]
    print_rows(rows, as_json=as_json, things="projects")


@project_app.command("create")
def create_project(
    path: ProjectPath,
    *,
    visibility: VisibilityOption = "",
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Make a project in a group, or in a user's own namespace."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.projects.changes import ProjectWish  # noqa: PLC0415 - as above
    from moorage.control.projects.changes import create_project as create  # noqa: PLC0415 - as above

    above, _, name = path.rpartition("/")
    project = create(_namespace_at(above), name, by=COMMAND_LINE, creator=None, wish=ProjectWish(visibility=visibility))
    print_row(_project_row(project), as_json=as_json, text=lambda: f"{project.full_path} is a project now")


@project_app.command("take-in")
def take_in(
    *,
    owner: Annotated[str, typer.Option(help="A user who becomes the owner of new groups.")] = "root",
    visibility: VisibilityOption = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make nothing; print what would be made.", show_default=False)
    ] = False,
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Make the projects that the registry's repositories need.

    For a registry that was there before it had accounts: without a project nobody reaches a repository. A repository
    below a project that is there belongs to it. May be done again at any time. Exits with 1 if one has no project.
    """
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.taking_in import TakingIn  # noqa: PLC0415 - as above
    from moorage.control.registry.connection import the_registry  # noqa: PLC0415 - as above

    taking_in = TakingIn(by=COMMAND_LINE, owner=user_named(owner), visibility=visibility, dry_run=dry_run)
    found = list(taking_in.take_in(the_registry().catalogue()))
    made = "would be made" if dry_run else "made"
    rows: list[Row] = [
        {
            "repository": one.repository,
            "project": one.project,
            "what": one.reason or (made if one.is_new else "is there"),
        }
        for one in found
    ]
    print_rows(rows, as_json=as_json, things="repositories in the registry")
    left = sum(bool(one.reason) for one in found)
    new = sum(one.is_new for one in found)
    if not as_json:
        print(f"projects {made}: {new}; repositories that had one: {len(found) - new - left}; without one: {left}")
    raise typer.Exit(1 if left else 0)


@project_app.command("change")
def change_project(
    path: ProjectPath,
    *,
    visibility: VisibilityOption = "",
    registry: Annotated[str, typer.Option(help="disabled, private (members only) or enabled.")] = "",
    config: ConfigOption = None,
    as_json: AsJSON = False,
) -> None:
    """Change who sees a project, and who its images are for."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.projects.changes import change_project as change  # noqa: PLC0415 - as above

    given = {"visibility": visibility, "container_registry_access_level": registry}
    project = change(project_at(path), by=COMMAND_LINE, **{name: value for name, value in given.items() if value})
    print_row(_project_row(project), as_json=as_json, text=lambda: f"{project.full_path} is changed")


@project_app.command("move")
def move_project(path: ProjectPath, new: NewPath, *, config: ConfigOption = None) -> None:
    """Give a project another path, with its images.

    Another name, or a place in another group.
    """
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.moves import move_project_with_images  # noqa: PLC0415 - as above

    above, _, name = new.rpartition("/")
    project = move_project_with_images(project_at(path), _namespace_at(above), name, by=COMMAND_LINE)
    print(f"{path} is {project.full_path} now")


@project_app.command("delete")
def delete_project(path: ProjectPath, *, config: ConfigOption = None) -> None:
    """Delete a project with all its images."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.changes import delete_project_with_images  # noqa: PLC0415 - as above

    _say_deleted(path, is_gone=delete_project_with_images(project_at(path), by=COMMAND_LINE))


@project_app.command("member")
def project_member(path: ProjectPath, user: Member, *, role: Role = 30, config: ConfigOption = None) -> None:
    """Give a user a role in a project."""
    open_database(config)
    _set_role(project_at(path), user, role)


@settings_app.command("show")
def show_settings(*, config: ConfigOption = None, as_json: AsJSON = False) -> None:
    """Print the settings, and what the registry was seen to be."""
    open_database(config)
    from moorage.control.instance.changes import CHANGEABLE, SEEN  # noqa: PLC0415 - Django has started
    from moorage.control.instance.models import ApplicationSettings  # noqa: PLC0415 - as above

    now = ApplicationSettings.now()
    rows: list[Row] = [{"setting": name, "value": getattr(now, name)} for name in sorted(CHANGEABLE | SEEN)]
    if as_json:
        print_row({str(row["setting"]): row["value"] for row in rows}, as_json=True, text=str)
    else:
        print_rows(rows, as_json=False, things="settings")


@settings_app.command("change")
def change_setting(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as container_registry_token_expire_delay.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="A number, a word, true or false.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Change one setting; it takes effect at once."""
    open_database(config)
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.instance.changes import change_settings  # noqa: PLC0415 - as above

    meant: object = {"true": True, "false": False}.get(value, int(value) if value.isdecimal() else value)
    change_settings(by=COMMAND_LINE, **{name: meant})
    print(f"{name} is {value}")


def _namespace_at(path: str) -> "Namespace":
    from moorage.control.namespaces.models import Namespace  # noqa: PLC0415 - Django has started

    if not path:
        msg = "a project is in a group or in a user's own namespace: write it as GROUP/NAME"
        raise Refused(msg)
    return first_of(Namespace.objects.at(path), "namespace", path)


def _say_deleted(path: str, *, is_gone: bool) -> None:
    print(f"{path} is deleted" if is_gone else f"{path} goes when its images have gone; the control plane does it")


def _set_role(place: "Project | Namespace", username: str, role: int) -> None:
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.projects.members import add_member, change_member, remove_member  # noqa: PLC0415 - as above
    from moorage.control.projects.models import Membership, Project  # noqa: PLC0415 - as above
    from moorage.control.projects.rules import AccessLevel  # noqa: PLC0415 - as above

    if role not in set(AccessLevel):
        raise ConfigurationError([Mistake("--role", "one of 0, 5, 10, 15, 20, 30, 40, 50 is needed")])
    user = user_named(username)
    where = {"project": place} if isinstance(place, Project) else {"namespace": place}
    member = Membership.objects.filter(user=user, **where).first()
    if member is None and role:
        add_member(place, user, AccessLevel(role), by=COMMAND_LINE)
    elif member is not None and role:
        change_member(member, AccessLevel(role), by=COMMAND_LINE)
    elif member is not None:
        remove_member(member, by=COMMAND_LINE)
    print(f"{username} has role {role} in {place}" if role else f"{username} is no member of {place}")


def _group_row(group: "Namespace") -> Row:
    return {"id": group.pk, "path": group.full_path, "visibility": group.visibility}


def _project_row(project: "Project") -> Row:
    return {
        "id": project.pk,
        "path": project.full_path,
        "visibility": project.visibility,
        "registry": project.container_registry_access_level,
    }
