"""``moorage database``: its commands; what ``migrate`` takes, and what it does is in ``migrating``."""

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.database_adopt import adopt_app
from moorage.cli.database_export import export_link_files
from moorage.cli.database_import import import_link_files
from moorage.cli.go_flags import GoFlagsCommand
from moorage.cli.options import AsJSON, config_argument

database_app = typer.Typer(help="Manage the metadata database.", no_args_is_help=True, rich_markup_mode=None)
migrate_app = typer.Typer(help="Manage the schema's migrations.", no_args_is_help=True, rich_markup_mode=None)
database_app.add_typer(migrate_app, name="migrate")
database_app.add_typer(adopt_app, name="adopt")
database_app.command("import", cls=GoFlagsCommand)(import_link_files)
database_app.command("export")(export_link_files)

ConfigFile = Annotated[
    Path | None,
    config_argument("The file; else REGISTRY_CONFIGURATION_PATH; else the SQLite database in --data."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Without CONFIG: where `moorage serve` keeps its data."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-d", help="Only say what would be done.")]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        metavar="COUNT",
        help="So many pre-deployment migrations at most; alone: no post-deployment ones, and 0 is all.",
    ),
]
PostLimit = Annotated[
    int | None,
    typer.Option(
        "--post-deploy-limit",
        "-p",
        metavar="COUNT",
        help="So many post-deployment migrations at most; alone: no pre-deployment ones, and 0 is all.",
    ),
]
SkipPost = Annotated[
    bool,
    typer.Option(
        "--skip-post-deployment",
        "-s",
        envvar="SKIP_POST_DEPLOYMENT_MIGRATIONS",
        help="Leave post-deployment migrations out.",
    ),
]


@migrate_app.command(cls=GoFlagsCommand)
def up(
    config: ConfigFile = None,
    *,
    dry_run: DryRun = False,
    limit: Limit = None,
    post_deploy_limit: PostLimit = None,
    skip_post_deployment: SkipPost = False,
    data: Data = None,
    as_json: AsJSON = False,
) -> None:
    """Apply what is pending."""
    from moorage.cli import migrating  # noqa: PLC0415 - other commands need not wait for the database's imports
    from moorage.starting.database_choice import database_to_migrate  # noqa: PLC0415 - as above

    wish = migrating.wish(limit, post_deploy_limit, skip_post=skip_post_deployment)
    migrating.up(database_to_migrate(config, data), wish, dry_run=dry_run, as_json=as_json)


@migrate_app.command(cls=GoFlagsCommand)
def down(
    config: ConfigFile = None,
    *,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    post_deploy_limit: PostLimit = None,
    data: Data = None,
    as_json: AsJSON = False,
) -> None:
    """Undo migrations, without limits all of them: then every table goes, with what is in it."""
    from moorage.cli import migrating  # noqa: PLC0415 - as above
    from moorage.starting.database_choice import database_to_migrate  # noqa: PLC0415 - as above

    wish = migrating.wish(limit, post_deploy_limit, skip_post=False)
    migrating.down(database_to_migrate(config, data), wish, force=force, dry_run=dry_run, as_json=as_json)


@migrate_app.command(cls=GoFlagsCommand)
def status(
    config: ConfigFile = None,
    *,
    up_to_date: Annotated[
        bool, typer.Option("--up-to-date", "-u", help="Print only true or false: whether all are applied.")
    ] = False,
    skip_post_deployment: SkipPost = False,
    data: Data = None,
    as_json: AsJSON = False,
) -> None:
    """Print which migrations there are, and when each was applied."""
    from moorage.cli import migrating  # noqa: PLC0415 - as above
    from moorage.starting.database_choice import database_to_migrate  # noqa: PLC0415 - as above

    where = database_to_migrate(config, data)
    migrating.status(where, only_whether=up_to_date, skip_post=skip_post_deployment, as_json=as_json)


@migrate_app.command(cls=GoFlagsCommand)
def version(config: ConfigFile = None, *, data: Data = None, as_json: AsJSON = False) -> None:
    """Print the last migration that was applied, of each kind."""
    from moorage.cli import migrating  # noqa: PLC0415 - as above
    from moorage.starting.database_choice import database_to_migrate  # noqa: PLC0415 - as above

    migrating.version(database_to_migrate(config, data), as_json=as_json)
