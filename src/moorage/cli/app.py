"""The subcommands."""

import json
import platform
import sys
from pathlib import Path
from typing import Annotated

import typer

from moorage import __version__
from moorage.cli.background import background_app
from moorage.cli.check import check as check_registry
from moorage.cli.configuration import read_or_defaults
from moorage.cli.database import database_app
from moorage.cli.garbage_collect import garbage_collect
from moorage.cli.gc import gc_app
from moorage.cli.go_flags import GoFlagsCommand
from moorage.cli.history import tag_app, undo_request
from moorage.cli.listing import du, image_app, list_tags, repo_app
from moorage.cli.login import login, logout
from moorage.cli.options import AsJSON
from moorage.cli.token import token_app
from moorage.cli.user import user_app
from moorage.config import Loaded
from moorage.errors import ConfigurationError, Mistake

app = typer.Typer(
    help="Moorage, a container registry.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Look at a configuration file.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config_app, name="config")
app.command("login")(login)
app.command("logout")(logout)
app.add_typer(repo_app, name="repo")
app.add_typer(image_app, name="image")
app.command("du")(du)
app.add_typer(user_app, name="user")
tag_app.command("list")(list_tags)
app.add_typer(tag_app, name="tag")
app.command("undo")(undo_request)
app.command("garbage-collect", cls=GoFlagsCommand)(garbage_collect)
app.add_typer(gc_app, name="gc")
app.command("check")(check_registry)
app.add_typer(database_app, name="database")
app.add_typer(token_app, name="token")
app.add_typer(background_app, name="background-migrate")

ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="CONFIG",
        help="A config.yml as Distribution and GitLab read it; else REGISTRY_CONFIGURATION_PATH; else defaults.",
        show_default=False,
    ),
]
CheckedFile = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="The file; else REGISTRY_CONFIGURATION_PATH.", show_default=False),
]


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes it on
    if wanted:
        print(f"moorage {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", "-v", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Moorage, a container registry."""
    del show_version


@app.command()
def serve(
    config: ConfigFile = None,
    *,
    addr: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Listen here instead of where the configuration says."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the data here. Without CONFIG: ./data.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Worker processes; if not given, one a core that may be used.")
    ] = None,
) -> None:
    """Start the registry."""
    from moorage.cli.serving import serve as run  # noqa: PLC0415 - other commands need not wait for the server's imports
    from moorage.server.scheduling import usable_processors  # noqa: PLC0415 - as above

    raise typer.Exit(run(config, addr=addr, data=data, workers=workers or usable_processors()))


@app.command()
def version(*, as_json: AsJSON = False) -> None:
    """Print the version."""
    found = {"moorage": __version__, "python": platform.python_version()}
    print(json.dumps(found) if as_json else "\n".join(f"{name} {number}" for name, number in found.items()))


@config_app.command()
def check(
    config: CheckedFile = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on unknown keys too.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Read a configuration (with REGISTRY_* variables) and say every mistake in it; status 1 if there are any."""
    loaded: Loaded | None
    mistakes: tuple[Mistake, ...]
    try:
        loaded = read_or_defaults(config)
        from moorage.cli.foreseeing import said_by_a_start  # noqa: PLC0415 - other commands need not wait for it

    except ConfigurationError as exc:
        mistakes, loaded, warnings = exc.mistakes, None, exc.warnings
    else:
        mistakes, concerns = said_by_a_start(loaded.config)
        warnings = (*loaded.warnings, *concerns)
    unknown = loaded.unknown if loaded else ()
    missing = loaded.not_implemented if loaded else ()
    is_good = not mistakes and not (strict and unknown)
    if as_json:
        found = {
            "ok": is_good,
            "mistakes": [{"path": mistake.path, "message": mistake.message} for mistake in mistakes],
            "warnings": warnings,
            "unknown": unknown,
            "not_implemented": missing,
        }
        print(json.dumps(found, indent=2))
    else:
        for mistake in mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        for warning in warnings:
            print(f"warning: {warning}")
        if missing:
            print(f"warning: accepted, not implemented yet: {', '.join(missing)}")
        print("the configuration is good" if is_good else "the configuration cannot be used")
    raise typer.Exit(0 if is_good else 1)
