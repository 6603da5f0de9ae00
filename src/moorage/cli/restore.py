"""``moorage restore``: what it takes, and what is printed."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.amounts import counted, shown_bytes
from moorage.cli.backup import WITH_PROBLEMS, BackupDir, WhichBackup, print_problems, said
from moorage.cli.options import AsJSON

if TYPE_CHECKING:
    from moorage.backup.restoring import Restored


def restore(
    folder: BackupDir,
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FILE", help="A config.yml that names empty places, of the same kind of database."
        ),
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The control.yml of the places; else the one beside the config.yml."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="An empty folder, instead of --to: configuration and keys come from the backup too, if they lay in "
            "one folder as `moorage up` has it.",
        ),
    ] = None,
    backup: WhichBackup = "",
    as_json: AsJSON = False,
) -> None:
    """Bring a backup back onto empty places, to be served from there. Ended before it was done, it goes on.

    Status 0: all of it. 1: blobs were missing or damaged, and all the rest is there. 2: nothing that could be served.
    """
    from moorage.backup.backup_folder import BackupFolder  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.backup.backup_record import read_record  # noqa: PLC0415 - as above
    from moorage.backup.files_back import end_files, put_files_back  # noqa: PLC0415 - as above
    from moorage.backup.places import read_targets  # noqa: PLC0415 - as above
    from moorage.backup.restoring import restore as bring_back  # noqa: PLC0415 - as above
    from moorage.backup.same_registry import see_that_it_is_clear_which  # noqa: PLC0415 - as above
    from moorage.cli.bars import Bars  # noqa: PLC0415 - as above

    if (to is None) == (into is None):
        msg = "name either a configuration of empty places by --to, or an empty folder by --into"
        raise typer.BadParameter(msg)

    def run() -> "Restored":
        all_of_them = BackupFolder(folder.absolute())
        if not backup:
            see_that_it_is_clear_which(all_of_them)
        one = all_of_them.chosen(backup)
        record = read_record(one.record)
        places = read_targets(to, control) if to is not None else put_files_back(one, record, into or Path())
        with Bars() as bars:
            done = asyncio.run(bring_back(all_of_them, one, places, record=record, reports=bars))
        if into is not None:
            end_files(into)
        return done

    done = said(run)
    if as_json:
        found = {
            "ok": not done.problems.count,
            "blobs": done.blobs,
            "bytes": done.size_bytes,
            "problems": done.problems.first,
            "problem_count": done.problems.count,
            "registry_lacks": done.registry_lacks,
            "control_lacks": done.control_lacks,
            "left_out": done.left_out,
        }
        print(json.dumps(found, indent=2))
    else:
        print(f"{counted(done.blobs, 'blob')} ({shown_bytes(done.size_bytes)}) and all that is known of them are back")
        print_problems(done.problems)
        if done.left_out:
            print(f"left out, as these tables are not Moorage's: {', '.join(done.left_out)}; the backup has their rows")
        for lacking, command in (
            (done.registry_lacks, "moorage database migrate up"),
            (done.control_lacks, "moorage control migrate"),
        ):
            if lacking:
                print(f"{counted(len(lacking), 'migration')} came after this backup: {command} applies them")
    raise typer.Exit(WITH_PROBLEMS if done.problems.count else 0)
