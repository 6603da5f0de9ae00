"""``moorage serve``: what it takes; what it does is in ``serving``."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="CONFIG",
        help="A config.yml as Distribution and GitLab read it; else REGISTRY_CONFIGURATION_PATH; else defaults.",
        show_default=False,
    ),
]


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
