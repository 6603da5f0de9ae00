"""``moorage serve``: what it takes, and what it prints. The usual ways to write it are read by ``quick_serve.py``."""

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import config_argument
from moorage.cli.quick_serve import WORKERS_LIMIT

ConfigFile = Annotated[
    Path | None,
    config_argument(
        "A config.yml as Distribution and GitLab read it; else REGISTRY_CONFIGURATION_PATH; else defaults."
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
        int | None,
        typer.Option(min=1, max=WORKERS_LIMIT, help="Worker processes; if not given, one a core that may be used."),
    ] = None,
) -> None:
    """Start the registry."""
    from moorage.starting.serving import ServeOptions, serve_registry  # noqa: PLC0415 - other commands need not wait for the server's imports

    options = ServeOptions(config=config, addr=addr, data=data, workers=workers)
    raise typer.Exit(serve_registry(options, say=lambda text: print(text, flush=True)))
