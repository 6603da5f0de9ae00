"""``moorage control``: start the control plane, look after its database, and do by command what its pages do."""

import os
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.control_accounts import token_app, user_app
from moorage.cli.control_audit import audit_app
from moorage.cli.control_ldap import ldap_app
from moorage.cli.control_policies import policy_app
from moorage.cli.control_projects import group_app, project_app, settings_app
from moorage.cli.control_protection import protection_app
from moorage.cli.control_repositories import repository_app
from moorage.cli.control_rows import ConfigOption, open_database
from moorage.cli.control_serving import control_file, serve_control
from moorage.cli.control_usage import usage_app

control_app = typer.Typer(
    help="The control plane: accounts, projects and tokens.", no_args_is_help=True, rich_markup_mode=None
)
for _name, _app in (
    ("user", user_app),
    ("token", token_app),
    ("ldap", ldap_app),
    ("group", group_app),
    ("project", project_app),
    ("repository", repository_app),
    ("policy", policy_app),
    ("protection", protection_app),
    ("usage", usage_app),
    ("audit", audit_app),
    ("settings", settings_app),
):
    control_app.add_typer(_app, name=_name)

ControlFile = Annotated[
    Path | None,
    typer.Argument(metavar="CONTROL", help="A control.yml; else MOORAGE_CONTROL; else data/control.yml."),
]


@control_app.command()
def serve(control: ControlFile = None) -> None:
    """Start the control plane."""
    raise typer.Exit(serve_control(control))


@control_app.command()
def check(control: ControlFile = None) -> None:
    """Say every mistake in a control.yml."""
    from moorage.control.configuration import read_control  # noqa: PLC0415 - other commands need not wait
    from moorage.control.tokens.signing import RegistryKey  # noqa: PLC0415 - as above

    file = control_file(control)
    loaded = read_control(file, os.environ)
    for warning in loaded.warnings:
        print(f"warning: {warning}")
    registry = loaded.configuration.registry
    if registry.enabled:
        RegistryKey(Path(registry.key))
    print(f"{file} can be used")


@control_app.command()
def migrate(config: ConfigOption = None) -> None:
    """Bring the tables of the database up to date: on one node, before the others start."""
    from moorage.control.configuration import read_control  # noqa: PLC0415 - other commands need not wait
    from moorage.control.current import start_django  # noqa: PLC0415 - as above

    start_django(read_control(control_file(config), os.environ))
    from moorage.control.serving.database_opening import (  # noqa: PLC0415 - as above
        apply_migrations,
        pending_migrations,
    )

    pending = pending_migrations()
    apply_migrations()
    print(f"{len(pending)} migrations were applied" if pending else "nothing was to do")


@control_app.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument(metavar="USER", help="Whose password is lost.")] = "root",
    *,
    config: ConfigOption = None,
) -> None:
    """Give a user a new password at random, and print it once."""
    open_database(config)
    from moorage.control.serving.first_administrator import reset_password as reset  # noqa: PLC0415 - Django has started

    print(reset(username))
