"""Runs of ``moorage sync``."""

import os
import sys
from pathlib import Path

from moorage.cli.bars import Bars
from moorage.cli.reaching import credentials_for
from moorage.cli.relay_output import run_shown
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of
from moorage.relaying.relay_outcome import RelayOutcome
from moorage.relaying.sync_plan import SyncPlan, read_plan
from moorage.relaying.sync_run import SyncRun

MISTAKEN = 2
"""The status where the file has mistakes."""


def run(file: Path, *, jobs: int, dry_run: bool, as_json: bool) -> int:
    """Do what the file says, print what became of it, and return the status."""
    try:
        plan = _read(file)
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {file}: {mistake}", file=sys.stderr)
        return MISTAKEN

    async def work(outcome: RelayOutcome, bars: Bars) -> None:
        await SyncRun(plan, outcome, jobs=jobs, dry_run=dry_run, reports=bars).run()

    return run_shown(work, dry_run=dry_run, as_json=as_json)


def _read(file: Path) -> SyncPlan:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        why = reason_of(exc, file, "read") if isinstance(exc, OSError) else "it is no text"
        raise ConfigurationError([Mistake("", f"it cannot be read: {why}")]) from None
    return read_plan(text, os.environ, credentials_for)
