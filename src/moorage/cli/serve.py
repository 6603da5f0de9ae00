"""``moorage serve``: what it takes, and what it prints."""

from pathlib import Path
from typing import Annotated

import typer

from moorage.left_out import import_lightly

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
    import_lightly()
    from moorage.server.scheduling import usable_processors  # noqa: PLC0415 - other commands need not wait for the server's imports
    from moorage.starting.configuration_file import read_to_serve  # noqa: PLC0415 - as above
    from moorage.starting.registry_start import start_registry  # noqa: PLC0415 - as above

    loaded = read_to_serve(config, addr=addr, data=data)
    status = start_registry(
        loaded,
        workers=workers or usable_processors(),
        reread_level=lambda: read_to_serve(config, addr=addr, data=data).config.log.level,
        say=lambda text: print(text, flush=True),
    )
    raise typer.Exit(status)
