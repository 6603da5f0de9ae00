"""``moorage check``: what it takes; what it does is in ``checking``."""

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import AsJSON, NodeConfig, NodeData
from moorage.copying.shared_work import read_byte_rate


def byte_rate(text: str) -> float:
    """Read a number of bytes in a second, such as ``50MiB``."""
    try:
        return read_byte_rate(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from None


def check(
    config: NodeConfig = None,
    *,
    verify_digests: Annotated[
        bool,
        typer.Option("--verify-digests", help="Read every blob and compare it with its digest, on all cores."),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Repair what can be repaired without losing anything; bytes that are damaged are moved to quarantine, "
            "and are not served any more. Without it nothing is changed.",
        ),
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(parser=byte_rate, metavar="BYTES", help="Read at most so much in a second, such as 50MiB."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an unfinished check was ended.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every difference there, as one JSON object a line."),
    ] = None,
    data: NodeData = None,
    as_json: AsJSON = False,
) -> None:
    """Compare storage with the metadata, in both directions; the registry may go on serving meanwhile.

    Status 0: no differences. 1: differences were found, repaired or not. 2: it could not be done to its end.
    """
    from moorage.cli import checking  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.starting.check_start import CheckWish  # noqa: PLC0415 - as above

    wish = CheckWish(verifies=verify_digests, repairs=repair, bytes_per_s=rate, resumes=resume, report=report)
    raise typer.Exit(checking.run(config, data, wish, as_json=as_json))
