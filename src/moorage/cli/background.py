"""``moorage background-migrate``: what it takes; what it does is in ``background_runs``."""

from typing import Annotated

import typer

from moorage.cli.database import ConfigFile, Data
from moorage.cli.options import AsJSON

background_app = typer.Typer(help="Manage batched background migrations.", no_args_is_help=True, rich_markup_mode=None)


@background_app.command()
def status(config: ConfigFile = None, *, data: Data = None, as_json: AsJSON = False) -> None:
    """Print which background migrations there are, and how each is."""
    from moorage.cli import background_runs  # noqa: PLC0415 - other commands need not wait for the database's imports

    background_runs.status(config, data, as_json=as_json)


@background_app.command()
def pause(config: ConfigFile = None, *, data: Data = None, as_json: AsJSON = False) -> None:
    """Pause all that are running or active; a job at work ends first."""
    from moorage.cli import background_runs  # noqa: PLC0415 - as above

    background_runs.pause(config, data, as_json=as_json)


@background_app.command()
def resume(config: ConfigFile = None, *, data: Data = None, as_json: AsJSON = False) -> None:
    """Go on with all that are paused; the registry does the work while it serves."""
    from moorage.cli import background_runs  # noqa: PLC0415 - as above

    background_runs.resume(config, data, as_json=as_json)


@background_app.command()
def run(
    config: ConfigFile = None,
    *,
    max_job_retry: Annotated[
        int, typer.Option("--max-job-retry", "-r", help="Attempts at a job that fails; from 1 to 10.")
    ] = 2,
    data: Data = None,
    as_json: AsJSON = False,
) -> None:
    """Run all that are not finished to their end, now; those that are paused or failed, too."""
    from moorage.cli import background_runs  # noqa: PLC0415 - as above

    background_runs.run(config, data, attempt_limit=max_job_retry, as_json=as_json)
