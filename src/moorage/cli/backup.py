"""``moorage backup``: what it takes, and what is printed; ``moorage backup DIR`` makes one."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from moorage.cli.amounts import counted, shown_bytes
from moorage.cli.noted_output import print_noted
from moorage.cli.options import AsJSON
from moorage.cli.standard_streams import INTERRUPTED
from moorage.errors import ConfigurationError, MoorageError
from moorage.work.noted import Noted

if TYPE_CHECKING:
    from moorage.backup.backing_up import MadeBackup
    from moorage.backup.backup_record import BackupRecord
    from moorage.backup.trial_report import VerifyReport

WHOLE, WITH_PROBLEMS, NOT_DONE = 0, 1, 2
"""Statuses."""
_SHOWN = 20
_T = TypeVar("_T")


class _MakeUnlessNamed(TyperGroup):
    """Commands, of which the first word may be left out where that is ``make``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's Context is private
        """Put it in where something else than a command or a call for help comes first."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


backup_app = typer.Typer(
    cls=_MakeUnlessNamed,
    help="Backups of registry and control plane: make one, try one out. `moorage backup DIR` makes one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

BackupDir = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backups.", show_default=False)]
WhichBackup = Annotated[str, typer.Option("--backup", metavar="NAME", help="One of them; else the newest.")]


@backup_app.command()
def make(
    folder: BackupDir,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The registry's; else REGISTRY_CONFIGURATION_PATH; else data/config.yml; else defaults.",
        ),
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The control.yml; else MOORAGE_CONTROL; else the one beside the registry's."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Without a file: where `moorage serve` keeps its data.")
    ] = None,
    with_blobs: Annotated[
        bool | None,
        typer.Option(
            "--with-blobs/--without-blobs",
            help="Copy the blobs, or only list them. If not given: copied from a folder, listed of an object store.",
            show_default=False,
        ),
    ] = None,
    another_registry: Annotated[
        bool, typer.Option("--another-registry", help="Though the folder has backups of another registry.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Copy databases, keys, configuration and blobs while everything runs; blobs that are there are not copied again.

    Status 0: all of it. 1: blobs or named files were missing or damaged; the rest is there. 2: there is no new backup.
    """
    from moorage.backup.backing_up import make_backup  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.backup.backup_folder import BackupFolder  # noqa: PLC0415 - as above
    from moorage.backup.places import read_places  # noqa: PLC0415 - as above
    from moorage.cli.bars import Bars  # noqa: PLC0415 - as above

    def run() -> "MadeBackup":
        places = read_places(config, control, data=data)
        with Bars() as bars:
            return asyncio.run(
                make_backup(
                    places,
                    BackupFolder(folder.absolute()),
                    with_blobs=with_blobs,
                    reports=bars,
                    may_be_another=another_registry,
                )
            )

    made = said(run)
    if as_json:
        print(json.dumps({"name": made.backup.path.name, **made.record.model_dump(mode="json")}, indent=2))
    else:
        _print_made(made)
    raise typer.Exit(WITH_PROBLEMS if made.record.problem_count else WHOLE)


@backup_app.command()
def verify(
    folder: BackupDir,
    *,
    backup: WhichBackup = "",
    sample: Annotated[int, typer.Option(min=0, max=100_000, help="Number of tags that are pulled.")] = 20,
    scratch: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For tables of PostgreSQL: a config.yml that names a server; a database is made there for the trial, "
            "and dropped.",
        ),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Compare every byte with its digest, restore into a scratch place, start a registry there and pull images from it.

    Status 0: all is right. 1: something is wrong. 2: it could not be tried.
    """
    from moorage.backup.backup_folder import BackupFolder, BackupRefused  # noqa: PLC0415 - as above
    from moorage.backup.backup_record import read_record  # noqa: PLC0415 - as above
    from moorage.backup.places import scratch_server  # noqa: PLC0415 - as above
    from moorage.backup.trial_report import VerifyReport  # noqa: PLC0415 - as above
    from moorage.backup.verifying import verify as try_out  # noqa: PLC0415 - as above
    from moorage.cli.bars import Bars  # noqa: PLC0415 - as above

    def run() -> VerifyReport:
        all_of_them = BackupFolder(folder.absolute())
        one = all_of_them.chosen(backup)
        try:
            record = read_record(one.record)
        except BackupRefused as exc:
            report = VerifyReport(backup=one.path.name)
            report.problems.add(str(exc))
            return report
        server = None if scratch is None else scratch_server(scratch)
        with Bars() as bars:
            return try_out(all_of_them, one, record, sample=sample, reports=bars, server=server)

    report = said(run)
    if as_json:
        print(json.dumps(_as_json(report), indent=2))
    else:
        _print_report(report)
    raise typer.Exit(WITH_PROBLEMS if report.problems.count else WHOLE)


def said(run: Callable[[], _T]) -> _T:
    """Do it, and say what stopped it.

    Raises:
        typer.Exit: it could not be done.
    """
    try:
        return run()
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
    except (MoorageError, OSError) as exc:
        print(f"error: {exc}", file=sys.stderr)
    except KeyboardInterrupt:
        print("ended before it was done; the same command goes on with what is there", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(NOT_DONE)


def print_problems(problems: Noted[str]) -> None:
    """Print the first of them."""
    print_noted(problems, str, limit=_SHOWN, rest="--json has them")


def _print_made(made: "MadeBackup") -> None:
    record, blobs = made.record, made.record.blobs
    print(f"{made.backup.path.name}: {'not ' if record.problem_count else ''}whole in {record.seconds:.1f} s")
    print(f"registry: {record.registry.kind}; control plane: {record.control.kind if record.control else 'none'}")
    print(f"{counted(blobs.count, 'blob')} ({shown_bytes(blobs.size_bytes)}){_copied(record)}")
    if record.problem_count:
        print(f"{record.problem_count:,} could not be copied:")
        print_problems(Noted(count=record.problem_count, first=record.problems))


def _copied(record: "BackupRecord") -> str:
    blobs = record.blobs
    if not blobs.are_copied:
        return " listed, none copied"
    rate = f", {shown_bytes(blobs.copied_bytes / record.seconds)}/s" if record.seconds and blobs.copied else ""
    return f", of which {blobs.copied:,} ({shown_bytes(blobs.copied_bytes)}) were copied now{rate}"


def _as_json(report: "VerifyReport") -> dict[str, object]:
    names = [name for name in report.__slots__ if isinstance(name, str)]
    counts = {name: getattr(report, name) for name in names if name != "problems"}
    problems = {"problems": report.problems.first, "problem_count": report.problems.count}
    return {"ok": not report.problems.count, **counts, **problems}


def _print_report(report: "VerifyReport") -> None:
    rate = f", {shown_bytes(report.hashed_bytes / report.hashing_s)}/s" if report.hashing_s else ""
    print(f"{report.backup}: tried in {report.seconds:.1f} s")
    print(f"{counted(report.files, 'file')}, {counted(report.manifests, 'manifest')} of the database compared")
    print(f"{counted(report.blobs, 'blob')} ({shown_bytes(report.hashed_bytes)}) read{rate}")
    print(
        f"{counted(report.images, 'image')} pulled from a registry over it: {counted(report.pulled_blobs, 'blob')}, "
        f"{shown_bytes(report.pulled_bytes)}"
    )
    for note in report.notes:
        print(f"not tried: {note}")
    if report.problems.count:
        print(f"{counted(report.problems.count, 'problem')}:")
        print_problems(report.problems)
    else:
        print("nothing is wrong")
