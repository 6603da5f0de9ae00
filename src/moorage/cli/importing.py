"""Runs of ``moorage database import``, and the output."""

import asyncio
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from moorage.cli.amounts import counted
from moorage.cli.bars import Bars
from moorage.cli.noted_output import print_left_out
from moorage.cli.standard_streams import INTERRUPTED
from moorage.moving.importing import ALL_STEPS, ImportOptions, ImportRefused, Step
from moorage.moving.outcome import LeftOut, Outcome, Teller
from moorage.starting.configuration_file import read
from moorage.starting.import_start import check_tag_concurrency, import_link_files
from moorage.work.reports import WorkReports


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWish:
    """The options of the command."""

    steps: Sequence[Step]
    dry_run: bool
    is_recorded: bool
    counts_rows: bool
    logs_to_stdout: bool
    log_directory: Path | None
    skip_recent: timedelta
    tag_concurrency: int
    as_json: bool
    gitlab: str = ""
    """The DSN of the database of GitLab's registry; empty: link files are read."""


def steps_of(*, one: bool, two: bool, three: bool, gitlab: bool = False) -> Sequence[Step]:
    """Return the steps that are meant; all without an option. Source: GitLab features IMP-005.

    Raises:
        ImportRefused: two options are given that do not go together.
    """
    if gitlab and (one or two or three):
        msg = "--from-gitlab-database takes over everything at once, without steps"
        raise ImportRefused(msg)
    if one and (two or three):
        msg = "steps two or three can't be used with step one"
        raise ImportRefused(msg)
    if two and three:
        msg = "step three can't be used with step two"
        raise ImportRefused(msg)
    if one:
        return (Step.PRE_IMPORT,)
    if two:
        return (Step.ALL_REPOSITORIES,)
    return (Step.COMMON_BLOBS,) if three else ALL_STEPS


def run(path: Path | None, wish: ImportWish) -> int:
    """Import, print what was done, and return the exit status.

    Raises:
        ConfigurationError: the configuration cannot be used.
        ImportRefused: it would not be safe.
        BackendError: storage or the database failed.
    """
    config = read(path).config
    check_tag_concurrency(config, wish.tag_concurrency)
    options = ImportOptions(
        steps=wish.steps, dry_run=wish.dry_run, skip_recent=wish.skip_recent, is_recorded=wish.is_recorded
    )
    began = time.monotonic()
    with _log_of(wish) as log, contextlib.ExitStack() as stack:
        reports: WorkReports = WorkReports() if wish.logs_to_stdout else stack.enter_context(Bars(counts=True))

        def left_out(found: LeftOut) -> None:
            _write(log, "warning", "left out", kind=found.kind.value, path=found.path, reason=found.reason)

        def done(name: str) -> None:
            _write(log, "info", "repository taken over", repository=name)

        def warned(message: str) -> None:
            _write(log, "warning", message)

        teller = Teller(reports, left_out=left_out, done=done, warned=warned)
        try:
            rows = asyncio.run(import_link_files(config, options, teller, gitlab=wish.gitlab))
        except KeyboardInterrupt:
            print("interrupted: the same command goes on from here", file=sys.stderr)
            return INTERRUPTED
        _write(log, "info", "import done", dry_run=wish.dry_run, seconds=round(time.monotonic() - began, 3))
    _show(teller.outcome, rows, wish, seconds=time.monotonic() - began)
    return 0


@contextlib.contextmanager
def _log_of(wish: ImportWish) -> Iterator[TextIO]:
    if wish.logs_to_stdout:
        yield sys.stderr if wish.as_json else sys.stdout
        return
    folder = wish.log_directory or Path()
    name = f"{datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}-registry-import.log"
    try:
        file = (folder / name).open("a", encoding="utf-8")
    except OSError as exc:
        msg = f"the log cannot be written to {folder.absolute()}: {exc.strerror}; --log-directory names another folder"
        raise ImportRefused(msg) from None
    with file:
        yield file


def _write(log: TextIO, level: str, message: str, **more: object) -> None:
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "msg": message, **more}
    print(json.dumps(line), file=log, flush=True)


def _show(outcome: Outcome, rows: Mapping[str, int], wish: ImportWish, *, seconds: float) -> None:
    if wish.as_json:
        print(json.dumps(_as_json(outcome, rows, wish, seconds)))
        return
    verb = "would be taken over" if wish.dry_run else "are in the database"
    if wish.gitlab:
        print(
            f"{counted(outcome.repositories, 'repository').replace('repositorys', 'repositories')}, "
            f"{counted(outcome.tags, 'tag')}, {counted(outcome.manifests, 'manifest')} and "
            f"{counted(outcome.blobs, 'link')} to blobs {verb}, in {seconds:.1f} s"
        )
    elif wish.steps != (Step.COMMON_BLOBS,):
        new = f"{counted(outcome.new_manifests, 'manifest')} and {counted(outcome.new_blobs, 'blob')} of them new"
        print(
            f"{counted(outcome.repositories, 'repository').replace('repositorys', 'repositories')}, "
            f"{counted(outcome.tags, 'tag')}, {counted(outcome.manifests, 'manifest')} and "
            f"{counted(outcome.blobs, 'link')} to blobs {verb}, {new}, in {seconds:.1f} s"
        )
    if outcome.skipped_repositories:
        print(f"skipped as they were taken over lately: {outcome.skipped_repositories}")
    if outcome.removed:
        print(f"taken out as they are not in the link files any more: {outcome.removed}")
    if Step.COMMON_BLOBS in wish.steps and not wish.dry_run and not wish.gitlab:
        print(
            f"{counted(outcome.common_blobs, 'blob')} in common storage, {outcome.unneeded_blobs} of them without use: "
            + ("left alone, as something was left out" if _is_kept(outcome, wish) else "to be reviewed")
        )
    print_left_out(outcome.left_out)
    if wish.counts_rows:
        for table, count in rows.items():
            print(f"{table}: {count}")


def _is_kept(outcome: Outcome, wish: ImportWish) -> bool:
    return bool(outcome.left_out.count) and wish.steps != (Step.COMMON_BLOBS,)


def _as_json(outcome: Outcome, rows: Mapping[str, int], wish: ImportWish, seconds: float) -> dict[str, object]:
    counts = {each.name: getattr(outcome, each.name) for each in dataclasses.fields(outcome) if each.name != "left_out"}
    return {
        "steps": ["gitlab-database"] if wish.gitlab else [step.value for step in wish.steps],
        "dry_run": wish.dry_run,
        **counts,
        "left_out_count": outcome.left_out.count,
        "left_out": [found.to_json() for found in outcome.left_out.first],
        "left_out_is_whole": outcome.left_out.is_whole,
        "rows": dict(rows) if wish.counts_rows else None,
        "duration_s": round(seconds, 3),
    }
