"""``moorage garbage-collect``: what it takes; what it does is in ``garbage_collecting``."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import AsJSON, config_argument
from moorage.cli.storage_options import DebugServer, duration_option

_FORCED_GRACE = timedelta(hours=24)

ConfigFile = Annotated[
    Path | None,
    config_argument("The configuration file; else REGISTRY_CONFIGURATION_PATH; else as `moorage serve` without one."),
]


def garbage_collect(
    config: ConfigFile = None,
    *,
    delete_untagged: Annotated[
        bool,
        typer.Option(
            "--delete-untagged",
            "-m",
            help="Delete manifests, too, that no tag points to, no kept index lists and whose subject is not kept.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-d", help="Find out what would be deleted, and delete nothing."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Run although a registry takes pushes. What is younger than --grace stays; still, a push that counts "
            "on an old blob which nothing refers to may lose it.",
        ),
    ] = False,
    grace: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration_option,
            metavar="DURATION",
            help="Keep what is younger, such as 48h; with --force 24h if not given, otherwise nothing.",
        ),
    ] = None,
    ignore_damaged: Annotated[
        bool,
        typer.Option(
            "--ignore-damaged",
            help="Collect repositories with damaged manifests too. Layers that only those refer to go for good.",
        ),
    ] = False,
    debug_server: DebugServer = None,
    as_json: AsJSON = False,
) -> None:
    """Delete what no manifest refers to, where images are in link files; with -m, untagged manifests too."""
    from moorage.cli import garbage_collecting  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.gc.offline.offline_run import OfflineOptions  # noqa: PLC0415 - as above

    if grace is None:
        grace = _FORCED_GRACE if force else timedelta(0)
    options = OfflineOptions(
        delete_untagged=delete_untagged,
        dry_run=dry_run,
        force=force,
        grace=grace,
        ignore_damaged=ignore_damaged,
    )
    try:
        status = garbage_collecting.collect(config, options, debug_server=debug_server, as_json=as_json)
    except KeyboardInterrupt:
        status = garbage_collecting.interrupted()
    raise typer.Exit(status)
