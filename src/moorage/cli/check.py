"""``moorage check``: what it takes; what it does is in ``checking``."""

import re
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import AsJSON

_RATE = re.compile(r"(\d+(?:\.\d+)?) *(?:([kKMGT])(i?)B?|B)?(?:/s)?")
_POWERS = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def byte_rate(text: str) -> float:
    """Read a number of bytes in a second, such as ``50MiB``."""
    found = _RATE.fullmatch(text.strip())
    if found is None or not float(found[1]):
        msg = "a number of bytes in a second is needed, such as 50MiB"
        raise typer.BadParameter(msg)
    base = 1024 if found[3] else 1000
    return float(found[1]) * float(base ** (_POWERS[found[2]] if found[2] else 0))


ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="CONFIG",
        help="The file; else REGISTRY_CONFIGURATION_PATH; else what `moorage serve` has in --data.",
        show_default=False,
    ),
]


def check(
    config: ConfigFile = None,
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
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Without CONFIG: where `moorage serve` keeps its data; else ./data."),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Compare storage with the metadata, in both directions; the registry may go on serving meanwhile.

    Status 0: no differences. 1: differences were found, repaired or not. 2: it could not be done to its end.
    """
    from moorage.cli import checking  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.starting.check_start import CheckWish  # noqa: PLC0415 - as above

    wish = CheckWish(verifies=verify_digests, repairs=repair, bytes_per_s=rate, resumes=resume, report=report)
    raise typer.Exit(checking.run(config, data, wish, as_json=as_json))
