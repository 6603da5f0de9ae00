"""``moorage copy``: what it takes; what it does is in ``copy_runs``."""

from typing import Annotated

import typer

from moorage.cli.check import byte_rate
from moorage.cli.options import AsJSON

Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Copy so many images and blobs at once.")]


def copy(  # noqa: PLR0913 - each is an option
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="What to copy: [HOST/]REPO[:TAG], or REPO@DIGEST.")],
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="Where to: [HOST/]REPO[:TAG]; without a tag under the one that it has."),
    ],
    *,
    all_tags: Annotated[bool, typer.Option("--all-tags", "-a", help="Copy all tags of the repository.")] = False,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tags", metavar="GLOB", help="Copy the tags that match, such as 'v1.*'; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="But not the tags that match this; may be repeated.")
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            metavar="OS/ARCH[/VARIANT]", help="Of an index copy only this image, which then stands in its place."
        ),
    ] = None,
    no_referrers: Annotated[
        bool, typer.Option("--no-referrers", help="Leave out signatures and whatever else refers to the images.")
    ] = False,
    no_clobber: Annotated[
        bool, typer.Option("--no-clobber", "-n", help="Leave tags of the target as they are.")
    ] = False,
    jobs: Jobs = 4,
    rate_limit: Annotated[
        float | None,
        typer.Option(parser=byte_rate, metavar="BYTES", help="Copy at most so much in a second, such as 50MiB."),
    ] = None,
    source_ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="For the source trust the certificates in this file.")
    ] = None,
    target_ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="For the target trust the certificates in this file.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Find out what would be copied, and change nothing.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Copy images from one registry to another, each byte as it is, with all platforms and signatures.

    What the target has already is not copied again, so after an interruption the same command goes on. Credentials
    are those that `moorage login` and `docker login` keep. Plain HTTP is only spoken to the loopback, and to a host
    that is written as http://HOST. Status 0: all is there. 1: something could not be copied; it is listed.
    """
    from moorage.cli import copy_runs  # noqa: PLC0415 - other commands need not wait for its imports

    wish = copy_runs.CopyWords(
        source=source,
        target=target,
        all_tags=all_tags,
        tags=tags or (),
        exclude=exclude or (),
        platform=platform,
        with_referrers=not no_referrers,
        overwrites=not no_clobber,
        jobs=jobs,
        bytes_per_s=rate_limit,
        source_ca=source_ca,
        target_ca=target_ca,
        dry_run=dry_run,
    )
    raise typer.Exit(copy_runs.run(wish, as_json=as_json))
