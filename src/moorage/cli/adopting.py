"""Output of ``moorage database adopt``."""

import asyncio
import dataclasses
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from moorage.starting.adoption_start import AdoptionReport, accept_left_out, report_adoption
from moorage.starting.configuration_file import read

_SHOWN = 20
_IN_JSON = 1000
_NOTHING = "nothing is adopted into this database: database.adopt: true begins it at a start"


def status(path: Path | None, *, as_json: bool) -> int:
    """Print the state of an adoption, and return 0 if it has ended, else 1.

    Raises:
        ConfigurationError: the configuration cannot be used.
        BackendError: the database does not answer.
    """
    report = asyncio.run(report_adoption(read(path).config, limit=_IN_JSON if as_json else _SHOWN))
    if report is None:
        print(json.dumps({"state": "none"}) if as_json else _NOTHING)
        return 1
    if as_json:
        print(json.dumps(_as_json(report)))
    else:
        _print(report)
    return 0 if report.progress.ended_at is not None else 1


def accept(path: Path | None) -> int:
    """Agree to what was left out, print what follows, and return the exit status.

    Raises: as :func:`status` does.
    """
    progress = asyncio.run(accept_left_out(read(path).config))
    if progress is None:
        print(_NOTHING, file=sys.stderr)
        return 1
    if progress.ended_at is not None:
        print("the adoption has ended already")
    else:
        print(f"agreed to what was left out ({progress.left_out}): the adoption ends once all else is taken over")
    return 0


def _print(report: AdoptionReport) -> None:
    progress, now = report.progress, datetime.now(UTC)
    total = "?" if progress.repositories is None else f"{progress.repositories:,}"
    stage = progress.stage
    print(f"repositories taken over: {progress.taken:,} of {total}, with {progress.tags:,} tags")
    if progress.ended_at is not None:
        print(f"ended at {progress.ended_at:%Y-%m-%d %H:%M:%S} UTC: everything is in the database")
    else:
        print(f"began at {progress.began_at:%Y-%m-%d %H:%M:%S} UTC; garbage collection is off until the end")
        until = progress.done_at(now)
        if until is not None and stage == "taking":
            print(f"done in about {timedelta(seconds=round((until - now).total_seconds()))} if it goes on like this")
    if stage == "waiting":
        print("everything else is taken over: 'moorage database adopt accept' agrees to what was left out")
    if progress.left_out:
        agreed = "" if progress.accepted_at is None else ", and somebody has agreed to it"
        print(f"left out: {progress.left_out}{agreed}")
        for found in report.findings.left_out:
            print(f"  {found.kind}  {found.path}  {found.reason}")
        if progress.left_out > len(report.findings.left_out):
            print("  and more: the registry's log names all")
    if progress.faults:
        print(f"could not be taken over yet: {progress.faults}")
        for fault in report.findings.faults:
            print(f"  {fault.path}  {fault.error}")


def _as_json(report: AdoptionReport) -> dict[str, object]:
    progress = report.progress
    until = progress.done_at(datetime.now(UTC))
    return {
        "state": progress.stage,
        "repositories": progress.repositories,
        "taken": progress.taken,
        "tags": progress.tags,
        "manifests": progress.manifests,
        "began_at": progress.began_at.isoformat(),
        "ended_at": None if progress.ended_at is None else progress.ended_at.isoformat(),
        "done_at": None if until is None else until.isoformat(timespec="seconds"),
        "left_out": progress.left_out,
        "accepted": progress.accepted_at is not None,
        "first_left_out": [dataclasses.asdict(found) for found in report.findings.left_out],
        "faults": [dataclasses.asdict(fault) for fault in report.findings.faults],
    }
