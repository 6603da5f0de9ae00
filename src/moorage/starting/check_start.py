"""Runs of a check: the choice of the registry, and the way to go on with an unfinished check."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from moorage.config import Config
from moorage.errors import ConfigurationError, Mistake
from moorage.integrity.checking import check
from moorage.integrity.hashing import HashingPace
from moorage.integrity.progress import CheckProgress, CheckReport, State, Watcher, new_state, report_of, unfinished
from moorage.permissions import reason_of
from moorage.starting.configuration_file import find, read, read_or_defaults
from moorage.starting.database_choice import database_beside
from moorage.storage.base import Capability, StorageDriver
from moorage.wiring.checking import opened_registry
from moorage.wiring.storage import capabilities_of, check_rights, local_folder, storage_driver


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckWish:
    """The options of a check."""

    verifies: bool = False
    """True if every byte is read."""
    repairs: bool = False
    bytes_per_s: float | None = None
    resumes: bool = False
    """True if it goes on where an unfinished one was ended."""
    report: Path | None = None
    """A file for every difference."""


async def run_check(
    config: Config,
    wish: CheckWish,
    *,
    watched_by: AbstractContextManager[Watcher],
    warn: Callable[[str], object],
) -> State:
    """Check, and return what was found.

    Args:
        config: the configuration of the registry, which may go on serving meanwhile.
        wish: what is done.
        watched_by: entered when it begins, and told how it goes on.
        warn: told what somebody should know besides.

    Raises:
        ConfigurationError: it cannot be begun.
        BackendError: storage or the database failed.
    """
    async with contextlib.AsyncExitStack() as stack:
        storage = _storage(config)
        stack.push_async_callback(storage.close)
        place = await database_beside(config, storage)
        registry = await stack.enter_async_context(opened_registry(storage, place, HashingPace(wish.bytes_per_s)))
        state = await _state(storage, registry.store, wish, warn)
        report = None
        if wish.report is not None:
            report = _report(state, wish.report)
            stack.callback(report.close)
        progress = CheckProgress(storage, state, stack.enter_context(watched_by), report)
        async with _saved_at_the_end(progress):
            await check(registry.parts(verifies=state.verifies, repairs=wish.repairs), progress)
        if progress.unsaved:
            warn(f"warning: --resume could not have gone on with this check: {progress.unsaved}")
        if progress.unkept:
            warn(f"warning: the registry will not tell of this check, as its outcome was not kept: {progress.unkept}")
        return state


def configuration_to_check(path: Path | None, data: Path | None) -> Config:
    """Return the configuration in *path*; without one, that of a registry in *data*.

    Raises:
        ConfigurationError: it cannot be used, or both are given.
    """
    if find(path) is None:
        return read_or_defaults(None, data=data).config
    if data is not None:
        message = "--data is for use without a configuration: there, storage names the folder"
        raise ConfigurationError([Mistake("", message)])
    return read(path).config


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


def _storage(config: Config) -> StorageDriver:
    if Capability.SHARED not in capabilities_of(config):
        message = "what a registry keeps in memory cannot be checked from outside it"
        raise ConfigurationError([Mistake(f"storage.{config.storage.name}", message)])
    folder = local_folder(config)
    if folder is not None and not os.path.isdir(folder):  # noqa: PTH112 - it raises nothing
        check_rights(folder)
        message = f"there is no folder {folder}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)])
    return storage_driver(config)


async def _state(storage: StorageDriver, store: str, wish: CheckWish, warn: Callable[[str], object]) -> State:
    found = await unfinished(storage) if wish.resumes else None
    if found is None:
        if wish.resumes:
            warn("there is no unfinished check: beginning anew")
        return new_state(store=store, verifies=wish.verifies, repairs=wish.repairs)
    if found.store != store or found.verifies != wish.verifies:
        with_or_without = "with" if found.verifies else "without"
        message = f"the unfinished check was one {with_or_without} --verify-digests; go on like that, or begin anew"
        if found.store != store:
            message = f"the unfinished check was one of a {found.store} store; begin anew, without --resume"
        raise ConfigurationError([Mistake("", message)])
    found.repairs = wish.repairs
    return found
