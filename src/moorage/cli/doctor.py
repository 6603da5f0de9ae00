"""``moorage doctor``: what it takes, and what it prints."""

import json
from typing import Annotated

import typer

from moorage.cli.options import AsJSON, NodeConfig, NodeData

_WIDTH = 8


def doctor(
    config: NodeConfig = None,
    *,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where clients reach the registry; else http.host of the configuration."),
    ] = None,
    ca: Annotated[
        str | None,
        typer.Option("--ca", metavar="FILE", help="Trust the certificates in this file there, not the system's."),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The name under which nodes are compared; else that of the machine."),
    ] = None,
    data: NodeData = None,
    as_json: AsJSON = False,
) -> None:
    """Check from within that this node has what it needs, and the same as the others; the registry may go on serving.

    A line for each check, with what to do where it fails. Status 0: nothing failed. 1: something did.
    """
    from moorage.doctor.diagnosis import Diagnosis, Report  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.doctor.examination import DoctorWish, run_doctor  # noqa: PLC0415 - as above

    def tell(line: Diagnosis) -> None:
        end = f"; {line.remedy}" if line.remedy else ""
        print(f"{line.grade.value.ljust(_WIDTH)}{line.check}: {line.said}{end}", flush=True)

    report = Report((lambda _: None) if as_json else tell)
    run_doctor(config, data, DoctorWish(url=url or "", ca=ca or "", node=node or ""), report)
    if as_json:
        checks = [
            {"check": line.check, "result": line.grade.value, "message": line.said, "remedy": line.remedy}
            for line in report.lines
        ]
        print(json.dumps({"ok": report.is_good, "checks": checks}, indent=2))
    raise typer.Exit(0 if report.is_good else 1)
