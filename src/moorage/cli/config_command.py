"""``moorage config``: a configuration file, looked at without starting anything."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import AsJSON, config_argument
from moorage.config import Loaded
from moorage.errors import ConfigurationError, Mistake
from moorage.starting.configuration_file import read_or_defaults
from moorage.starting.foreseeing import said_by_a_start

config_app = typer.Typer(
    help="Check a configuration file, or write one from GitLab's.", no_args_is_help=True, rich_markup_mode=None
)

CheckedFile = Annotated[
    Path | None,
    config_argument("The file; else REGISTRY_CONFIGURATION_PATH."),
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


SITE_FOLDER = Path("/etc/moorage")


@config_app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for config.yml, control.yml and keys.")],
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of images and databases; else DIR.", show_default=False)
    ] = None,
    addr: Annotated[str, typer.Option(metavar="HOST:PORT", help="Address of the registry.")] = "127.0.0.1:5000",
    control_addr: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address of the control plane.")
    ] = "127.0.0.1:8080",
) -> None:
    """Write the files of a registry with accounts, for one machine; what is there is left alone."""
    from moorage.control.serving.first_folder import prepare_folder  # noqa: PLC0415 - other commands need not wait

    place = prepare_folder(folder, registry_addr=addr, control_addr=control_addr, data=data)
    print(f"{place.path}: {'made' if place.is_new else 'is there, and was left alone'}")
    print(f"next: moorage serve {place.config}, and beside it moorage control serve {place.control}")


@config_app.command("from-gitlab-rb")
def from_gitlab_rb(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Such as /etc/gitlab/gitlab.rb; it is read, never run.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the files of the site.")] = SITE_FOLDER,
    secrets: Annotated[
        Path | None,
        typer.Option(
            "--secrets", metavar="FILE", help="gitlab-secrets.json; else the one beside FILE.", show_default=False
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing if a line is not understood.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Write config.yml, control.yml, keys and nginx's site from the settings of GitLab's Linux package."""
    from moorage.starting.gitlab_site_start import SiteRequest, write_gitlab_site  # noqa: PLC0415 - `check` need not wait for it

    try:
        report = write_gitlab_site(SiteRequest(file=file, folder=to, secrets=secrets, is_strict=strict))
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        raise typer.Exit(1) from None
    for remark in report.remarks:
        print(f"warning: {remark}", file=sys.stderr)
    if as_json:
        print(
            json.dumps({"files": report.files, "not_understood": report.remarks, "next": report.next_steps}, indent=2)
        )
        return
    for path, change in report.files.items():
        print(f"{change:9}  {path}")
    for step in report.next_steps:
        print(f"next: {step}")
