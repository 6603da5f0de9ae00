"""Runs of ``moorage check``: the choice of the registry, the way to go on with an old check, and the output."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from moorage.cli.check_output import Bars, print_json, print_people
from moorage.cli.configuration import find, read, read_or_defaults
from moorage.config import Config
from moorage.errors import ConfigurationError, Mistake, MoorageError
from moorage.integrity.checking import check
from moorage.integrity.hashing import Hashing, HashingPace
from moorage.integrity.progress import CheckProgress, CheckReport, State, new_state, report_of, unfinished
from moorage.permissions import reason_of
from moorage.storage import locks
from moorage.storage.base import Capability, StorageDriver
from moorage.wiring.checking import Where, check_parts, open_database
from moorage.wiring.storage import capabilities_of, check_rights, local_folder, storage_driver

NO_DIFFERENCES, DIFFERENCES, NOT_DONE = 0, 1, 2
"""Statuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Options from the command line."""

    verifies: bool = False
    repairs: bool = False
    bytes_per_s: float | None = None
    resumes: bool = False
    report: Path | None = None
    as_json: bool = False


def run(path: Path | None, data: Path | None, wanted: Wanted) -> int:
    """Check, print what was found, and return the status."""
    began_at = time.monotonic()
    try:
        state = asyncio.run(_run(path, data, wanted))
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        for warning in exc.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        return NOT_DONE
    except (MoorageError, OSError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return NOT_DONE
    except KeyboardInterrupt:
        print("ended before it was done; the same command with --resume goes on from here", file=sys.stderr)
        return NOT_DONE
    show = print_json if wanted.as_json else print_people
    show(state, seconds=time.monotonic() - began_at, repairs=wanted.repairs)
    return DIFFERENCES if state.tally.differences else NO_DIFFERENCES


async def _run(path: Path | None, data: Path | None, wanted: Wanted) -> State:
    config = _config(path, data)
    async with contextlib.AsyncExitStack() as stack:
        storage = _storage(config)
        stack.push_async_callback(storage.close)
        where = await _where(config, storage)
        database = None if where is None else await stack.enter_async_context(open_database(where))
        hashing = Hashing(storage, threads=len(os.sched_getaffinity(0)), pace=HashingPace(wanted.bytes_per_s))
        stack.callback(hashing.close)
        state = await _state(storage, "layout" if database is None else "database", wanted)
        report = None
        if wanted.report is not None:
            report = _report(state, wanted.report)
            stack.callback(report.close)
        progress = CheckProgress(storage, state, stack.enter_context(Bars()), report)
        parts = check_parts(storage, database, hashing, verifies=state.verifies, repairs=wanted.repairs)
        async with _saved_at_the_end(progress):
            await check(parts, progress)
        if progress.unsaved:
            print(f"warning: --resume could not have gone on with this check: {progress.unsaved}", file=sys.stderr)
        return state


def _report(state: State, path: Path) -> CheckReport:
    try:
        return report_of(state, path)
    except OSError as exc:
        message = f"{path} cannot be written: {reason_of(exc, path, 'write')}"
        raise ConfigurationError([Mistake("--report", message)]) from exc


@contextlib.asynccontextmanager
async def _saved_at_the_end(progress: CheckProgress) -> AsyncIterator[None]:
    """Whoever ends it with Ctrl-C goes on exactly there."""
    try:
        yield
    except asyncio.CancelledError:
        await progress.save()
        raise


def _config(path: Path | None, data: Path | None) -> Config:
    if find(path) is None:
        return read_or_defaults(None, data=data).config
    if data is not None:
        message = "--data is for use without a configuration: there, storage names the folder"
        raise ConfigurationError([Mistake("", message)])
    return read(path).config


def _storage(config: Config) -> StorageDriver:
    if Capability.SHARED not in capabilities_of(config):
        message = "what a registry keeps in memory cannot be checked from outside it"
        raise ConfigurationError([Mistake("storage", message)])
    folder = local_folder(config)
    if folder is not None and not os.path.isdir(folder):  # noqa: PTH112 - it raises nothing
        check_rights(folder)
        message = f"there is no folder {folder}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)])
    return storage_driver(config)


async def _where(config: Config, storage: StorageDriver) -> Where | None:
    """The database that the registry on this storage uses; None: its metadata is in link files.

    Raises:
        ConfigurationError: storage says that it is elsewhere, so that all would look different.
    """
    found, section = await locks.read(storage), config.database
    if section.enabled is False or (section.enabled == "prefer" and found.filesystem):
        if found.database:
            message = "storage says that its images are in a database; name it, or nothing can be compared"
            raise ConfigurationError([Mistake("database.enabled", message)])
        return None
    if found.filesystem:
        message = "storage says that its images are in link files; set database.enabled: false to check them"
        raise ConfigurationError([Mistake("database.enabled", message)])
    where = _located(config)
    if isinstance(where, Path) and not where.exists():
        if section.enabled == "prefer" and not found.database:
            return None
        message = f"there is no {where}"
        raise ConfigurationError([Mistake("database.sqlite", message)])
    return where


def _located(config: Config) -> Where:
    section = config.database
    if section.sqlite:
        return Path(section.sqlite).absolute()
    if not section.host and not section.dbname:
        message = "it names no database: sqlite names a file, host and dbname one of a PostgreSQL server"
        raise ConfigurationError([Mistake("database", message)])
    return section


async def _state(storage: StorageDriver, store: str, wanted: Wanted) -> State:
    found = await unfinished(storage) if wanted.resumes else None
    if found is None:
        if wanted.resumes:
            print("there is no unfinished check: beginning anew", file=sys.stderr)
        return new_state(store=store, verifies=wanted.verifies)
    if found.store != store or found.verifies != wanted.verifies:
        with_or_without = "with" if found.verifies else "without"
        message = f"the unfinished check was one {with_or_without} --verify-digests; go on like that, or begin anew"
        if found.store != store:
            message = f"the unfinished check was one of a {found.store} store; begin anew, without --resume"
        raise ConfigurationError([Mistake("", message)])
    return found
