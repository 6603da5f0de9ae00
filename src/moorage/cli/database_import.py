"""``moorage database import``: what it takes; what it does is in ``importing``."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import AsJSON
from moorage.cli.storage_options import DebugServer, StorageAndDatabase, duration_option

_RECENT = timedelta(hours=72)


def import_link_files(  # noqa: PLR0913 - GitLab's options, each a parameter
    config: StorageAndDatabase = None,
    *,
    step_one: Annotated[
        bool,
        typer.Option(
            "--step-one",
            "--pre-import",
            "-1",
            "-p",
            help="Take over blobs and manifests, while the registry goes on being used; may be repeated.",
        ),
    ] = False,
    step_two: Annotated[
        bool,
        typer.Option(
            "--step-two",
            "--all-repositories",
            "-2",
            "-r",
            help="Take over tags and all that is missing, while nobody pushes; then the database is to be used.",
        ),
    ] = False,
    step_three: Annotated[
        bool,
        typer.Option(
            "--step-three",
            "--common-blobs",
            "-3",
            "-B",
            help="Have garbage collection look at bytes that nothing refers to; may run while the registry is used.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-d", help="Read everything, say what would be left out, and write nothing.")
    ] = False,
    row_count: Annotated[
        bool, typer.Option("--row-count", "-c", help="Print the numbers of rows of the tables at the end.")
    ] = False,
    log_to_stdout: Annotated[
        bool, typer.Option("--log-to-stdout", "-l", help="Write the log there instead of bars and a file.")
    ] = False,
    log_directory: Annotated[
        Path | None,
        typer.Option("--log-directory", metavar="DIR", help="The folder of the log file; else the working directory."),
    ] = None,
    pre_import_skip_recent: Annotated[
        timedelta,
        typer.Option(
            "--pre-import-skip-recent",
            parser=duration_option,
            metavar="DURATION",
            help="Go on with a step one that was ended, if it began less than this ago; 0: begin anew.",
            show_default="72h",
        ),
    ] = _RECENT,
    tag_concurrency: Annotated[
        int,
        typer.Option(
            "--tag-concurrency", "-t", metavar="COUNT", help="Accepted for GitLab's scripts (1 to 5); does nothing."
        ),
    ] = 1,
    dynamic_media_types: Annotated[
        bool,
        typer.Option("--dynamic-media-types", "-m", help="Accepted for GitLab's scripts; does nothing."),
    ] = True,
    import_statistics: Annotated[
        bool,
        typer.Option(
            "--import-statistics/--no-import-statistics",
            "-i",
            help="Record when each step was and what it counted, for GET /gitlab/v1/statistics/.",
        ),
    ] = True,
    from_gitlab_database: Annotated[
        str,
        typer.Option(
            "--from-gitlab-database",
            metavar="DSN",
            envvar="MOORAGE_GITLAB_DATABASE",
            help="Read the database of GitLab's own registry, such as postgresql://registry@host/registry, instead of "
            "link files; the password may be in PGPASSWORD.",
            show_default=False,
        ),
    ] = "",
    debug_server: DebugServer = None,
    as_json: AsJSON = False,
) -> None:
    """Take over the images of link files into a database, in three steps or, without a step, all at once.

    Ended at any moment, the same command finishes it. What cannot be taken over is listed, and stops nothing else.
    """
    from moorage.cli import importing  # noqa: PLC0415 - other commands need not wait for its imports

    del dynamic_media_types
    if debug_server is not None:
        typer.echo("there is no debug server: --debug-server does nothing", err=True)
    wish = importing.ImportWish(
        steps=importing.steps_of(one=step_one, two=step_two, three=step_three, gitlab=bool(from_gitlab_database)),
        dry_run=dry_run,
        is_recorded=import_statistics,
        counts_rows=row_count,
        logs_to_stdout=log_to_stdout,
        log_directory=log_directory,
        skip_recent=pre_import_skip_recent,
        tag_concurrency=tag_concurrency,
        as_json=as_json,
        gitlab=from_gitlab_database,
    )
    raise typer.Exit(importing.run(config, wish))
