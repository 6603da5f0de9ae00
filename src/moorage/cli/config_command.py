"""``moorage config``: a configuration file, looked at without starting anything."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import AsJSON
from moorage.config import Loaded
from moorage.errors import ConfigurationError, Mistake
from moorage.starting.configuration_file import read_or_defaults
from moorage.starting.foreseeing import said_by_a_start

config_app = typer.Typer(help="Check a configuration file.", no_args_is_help=True, rich_markup_mode=None)

CheckedFile = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="The file; else REGISTRY_CONFIGURATION_PATH.", show_default=False),
]


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
            print(f"warning: {warning}", file=sys.stderr)
        if missing:
            print(f"warning: accepted, without function here: {', '.join(missing)}", file=sys.stderr)
        print("the configuration is good" if is_good else "the configuration cannot be used")
    raise typer.Exit(0 if is_good else 1)
