"""Runs of ``moorage database migrate``: the choice of the database, and the output. Words: GitLab's."""

import asyncio
import json
import re
import sys
from collections.abc import Sequence

from moorage.cli.tables import print_table
from moorage.metadata.schema import migrator
from moorage.metadata.schema.chains import CHAINS, Applied, ChainStep, Phase, refused
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.migrator import MigrationReport
from moorage.sql.database_place import DatabasePlace

PHASES: tuple[Phase, Phase] = ("pre-deployment", "post-deployment")

_QUESTION = "Preparing to apply the above down migrations. Are you sure? [y/N] "
_YES = re.compile(r"y(es)?", re.IGNORECASE)


def wish(pre: int | None, post: int | None, *, skip_post: bool) -> Wish:
    """Read the limits: one alone leaves the other kind out, and 0 alone is no limit. Source: features CLI-004.

    Raises:
        ConfigurationError: a limit below 0, or two of which one is below 1.
    """
    least = 0 if pre is None or post is None else 1
    if any(limit is not None and limit < least for limit in (pre, post)):
        msg = "both pre and post migration limits must be greater than or equal to 1; one alone may be 0, for all"
        raise refused(msg)
    only_pre, only_post = post is None and pre is not None, pre is None and post is not None
    pre, post = pre or None, post or None
    return Wish(
        pre=0 if only_post else pre,
        post=0 if only_pre or skip_post else post,
        never_post=skip_post,
    )


def up(where: DatabasePlace, wanted: Wish, *, dry_run: bool, as_json: bool) -> None:
    """Apply migrations and say which."""

    def announce(plan: Sequence[ChainStep]) -> None:
        if not as_json:
            _print_plan(plan, PHASES)

    if dry_run:
        plan = asyncio.run(migrator.planned_up(where, wanted))
        announce(plan)
        report = MigrationReport(steps=plan)
    else:
        report = asyncio.run(migrator.up(where, wanted, announce=announce))
    if as_json:
        _print_report(report, dry_run=dry_run)
    elif not dry_run:
        pre, post = (_count(report.steps, phase) for phase in PHASES)
        print(
            f"OK: applied {pre} pre-deployment migration(s), {post} post-deployment migration(s) "
            f"and {report.background} background migration(s) in {report.seconds:.3f}s"
        )


def down(where: DatabasePlace, wanted: Wish, *, force: bool, dry_run: bool, as_json: bool) -> None:
    """Say which migrations will be undone, ask, and undo them."""
    if as_json and not force and not dry_run:
        msg = "--json asks no question: give --force or --dry-run with it"
        raise refused(msg)
    plan = asyncio.run(migrator.planned_down(where, wanted))
    if not as_json:
        _print_plan(plan, PHASES[::-1])
    if dry_run or not plan or not (force or _is_sure()):
        if as_json:
            _print_report(MigrationReport(steps=plan), dry_run=dry_run)
        return
    report = asyncio.run(migrator.down(where, plan))
    if as_json:
        _print_report(report, dry_run=False)
        return
    for phase in PHASES[::-1]:
        if count := _count(report.steps, phase):
            print(f"OK: applied {count} {phase} migration(s) in {report.seconds:.3f}s")


def status(where: DatabasePlace, *, only_whether: bool, skip_post: bool, as_json: bool) -> None:
    """Print all migrations, or only whether all are applied."""
    phases = PHASES[:1] if skip_post else PHASES
    history = asyncio.run(migrator.history(where))
    there = {(row.phase, row.name): row for row in history}
    known = [(step.phase, step.migration.name) for step in CHAINS.steps() if step.phase in phases]
    is_current = all(key in there for key in known)
    if only_whether:
        print(json.dumps({"up_to_date": is_current}) if as_json else str(is_current).lower())
        return
    found = {phase: _rows(phase, known, there) for phase in phases}
    if as_json:
        print(json.dumps({"up_to_date": is_current, "migrations": _as_json(found)}, indent=2))
        return
    for phase, rows in found.items():
        print(phase)
        print_table(("Migration", "Applied"), [(name + mark, when) for name, mark, when in rows])


def version(where: DatabasePlace, *, as_json: bool) -> None:
    """Print the last migration of each chain."""
    history = asyncio.run(migrator.history(where))
    found = {phase: max((row.name for row in history if row.phase == phase), default=None) for phase in PHASES}
    if as_json:
        print(json.dumps(found))
        return
    for phase, name in found.items():
        print(f"{phase}:{name or 'Unknown'}")


def _rows(
    phase: Phase, known: Sequence[tuple[Phase, str]], there: dict[tuple[Phase, str], Applied]
) -> Sequence[tuple[str, str, str]]:
    names = {name for kind, name in [*known, *there] if kind == phase}
    return [
        (name, "" if (phase, name) in known else " (unknown)", _when(there.get((phase, name))))
        for name in sorted(names)
    ]


def _when(row: Applied | None) -> str:
    return "" if row is None else row.applied_at.isoformat(" ", "milliseconds")


def _as_json(found: dict[Phase, Sequence[tuple[str, str, str]]]) -> Sequence[dict[str, object]]:
    return [
        {"phase": phase, "name": name, "applied_at": when.replace(" ", "T") or None, "is_known": not mark}
        for phase, rows in found.items()
        for name, mark, when in rows
    ]


def _print_plan(plan: Sequence[ChainStep], phases: Sequence[Phase]) -> None:
    for phase in phases:
        names = [step.migration.name for step in plan if step.phase == phase]
        if names:
            print(f"{phase}:", *names, sep="\n", flush=True)


def _print_report(report: MigrationReport, *, dry_run: bool) -> None:
    names = {phase: [step.migration.name for step in report.steps if step.phase == phase] for phase in PHASES}
    more = {"background": report.background, "seconds": round(report.seconds, 3), "dry_run": dry_run}
    print(json.dumps({**names, **more}))


def _count(steps: Sequence[ChainStep], phase: Phase) -> int:
    return sum(step.phase == phase for step in steps)


def _is_sure() -> bool:
    print(_QUESTION, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        print(file=sys.stderr)
        msg = "there is nobody to answer: give --force to go on without a question"
        raise refused(msg)
    return _YES.fullmatch(answer.strip()) is not None
