"""Copies of a storage, from the configurations of a source and a target: what must not be copied onto what."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from moorage.config import Config
from moorage.copying.ends import CopyEnds
from moorage.copying.following import NumberedBlobs, follow
from moorage.copying.outcome import CopyOutcome
from moorage.copying.shared_work import BytePace
from moorage.copying.storage_copy import StorageCopy
from moorage.errors import BackendError, ConfigurationError, Mistake, PathUnknown
from moorage.starting.configuration_file import read_alone
from moorage.starting.database_choice import database_beside, refuse_a_part
from moorage.storage import identity, locks, paths
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.presence import Activity, Announcement, announce, living_others
from moorage.storage.remote.remote_driver import RemoteDriver
from moorage.wiring.databases import SqlNewBlobs, opened_database
from moorage.wiring.storage import capabilities_of, check_rights, local_folder, place_in_words, storage_driver
from moorage.work.reports import WorkReports


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWish:
    """The things that are to be done."""

    dry_run: bool = False
    deletes: bool = False
    follows: bool = False
    bytes_per_s: float | None = None
    counts: bool = True
    """False: what both sides have is not counted at the end."""


@dataclass(frozen=True, slots=True)
class CopyPlaces:
    """Two configurations, and their places in words."""

    source: Config
    target: Config

    @property
    def source_in_words(self) -> str:
        """Place of the source, for people."""
        return place_in_words(self.source)

    @property
    def target_in_words(self) -> str:
        """Place of the target, for people."""
        return place_in_words(self.target)


def read_places(source: Path, target: Path) -> CopyPlaces:
    """Read both configurations, without the environment.

    Raises:
        ConfigurationError: one of them cannot be used, or they name one place.
    """
    places = CopyPlaces(read_alone(source).config, read_alone(target).config)
    for path, config in ((source, places.source), (target, places.target)):
        if Capability.SHARED not in capabilities_of(config):
            message = f"{path}: what a registry keeps in memory cannot be reached from outside it"
            raise ConfigurationError([Mistake(f"storage.{config.storage.name}", message)])
    if _place_of(places.source) == _place_of(places.target):
        message = f"both files name one place, {places.source_in_words}"
        raise ConfigurationError([Mistake("storage", message)])
    return places


async def run_copy(places: CopyPlaces, wish: CopyWish, outcome: CopyOutcome, reports: WorkReports) -> None:
    """Copy, and note in *outcome* what was done.

    Raises:
        ConfigurationError: it must not be begun.
        BackendError: a storage or the database failed.
    """
    async with contextlib.AsyncExitStack() as stack:
        source = await _opened(stack, _existing(places.source), can_write=False)
        if wish.dry_run:
            _leave_no_folder(stack, places.target)
        target = await _opened(stack, places.target, can_write=not wish.dry_run)
        await _see_that_they_fit(source, target, deletes=wish.deletes)
        ours = None if wish.dry_run else await stack.enter_async_context(_alone_on(target))
        ends = CopyEnds(source=source, target=target, pace=BytePace(wish.bytes_per_s), changes=not wish.dry_run)
        copy = StorageCopy(ends, outcome, reports)
        told = await _new_blobs(stack, places.source, source) if wish.follows else None
        await copy.whole_round()
        if wish.follows:
            reports.says("up to date; set the source read-only, then press Ctrl-C (or send SIGTERM) for the last round")
            await follow(copy, told, _ending(stack))
            reports.says(f"the last round took {outcome.last_round_s:.1f} s; the target may be served now")
        if ours is not None:
            ours.check()
        if wish.deletes and not outcome.has_failed:
            await copy.remove_what_is_gone()
        if wish.counts:
            await copy.count()


def _place_of(config: Config) -> object:
    folder = local_folder(config)
    return config.storage.driver if folder is None else folder.resolve()


def _existing(config: Config) -> Config:
    folder = local_folder(config)
    if folder is not None:
        check_rights(folder)
        if not folder.is_dir():
            raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", f"there is no folder {folder}")])
    return config


def _leave_no_folder(stack: contextlib.AsyncExitStack, config: Config) -> None:
    """Remove the target's folder at the end if there was none: a driver makes it."""
    folder = local_folder(config)
    if folder is not None and not folder.exists():

        def remove() -> None:
            with contextlib.suppress(OSError):
                folder.rmdir()

        stack.callback(remove)


async def _opened(stack: contextlib.AsyncExitStack, config: Config, *, can_write: bool) -> StorageDriver:
    storage = storage_driver(config)
    stack.push_async_callback(storage.close)
    if isinstance(storage, RemoteDriver):
        await storage.examine(can_write=can_write)
    return storage


async def _see_that_they_fit(source: StorageDriver, target: StorageDriver, *, deletes: bool) -> None:
    await refuse_a_part(source, "the source")
    await refuse_a_part(target, "the target")
    ours, theirs = await locks.read(source), await locks.read(target)
    if (ours.filesystem and theirs.database) or (ours.database and theirs.filesystem):
        where = "a database" if theirs.database else "link files"
        message = (
            f"the target belongs to a registry whose images are in {where}, and the source to one of the other kind"
        )
        raise ConfigurationError([Mistake("storage", message)])
    one, other = await identity.read(source), await identity.read(target)
    if other is not None and one != other:
        message = "the target belongs to another registry's database; give a place that nothing has used before"
        raise ConfigurationError([Mistake("storage", message)])
    if deletes and not await _has_anything(source):
        message = "the source has nothing, so that --delete would empty the target; are the two the wrong way round?"
        raise ConfigurationError([Mistake("storage", message)])


async def _has_anything(storage: StorageDriver) -> bool:
    with contextlib.suppress(PathUnknown):
        return bool(await storage.list(paths.BLOBS, limit=1))
    return False


@contextlib.asynccontextmanager
async def _alone_on(target: StorageDriver) -> AsyncIterator[Announcement]:
    """Be seen on the target, so that nobody collects garbage there; refuse if somebody else writes to it."""
    ours = await announce(target, Activity.WRITING)
    try:
        for other in await living_others(target, but=ours):
            message = f"somebody writes to the target: {other}; stop it, or set it read-only"
            raise ConfigurationError([Mistake("storage", message)])
        yield ours
    finally:
        with contextlib.suppress(BackendError):
            await ours.close()


async def _new_blobs(stack: contextlib.AsyncExitStack, config: Config, source: StorageDriver) -> NumberedBlobs | None:
    place = await database_beside(config, source)
    if place is None:
        return None
    told = NumberedBlobs(SqlNewBlobs(await stack.enter_async_context(opened_database(place))))
    await told.begin()
    return told


def _ending(stack: contextlib.AsyncExitStack) -> asyncio.Event:
    """Return what the first signal sets; the second one ends all."""
    ending, loop, main = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()

    def end() -> None:
        if ending.is_set() and main is not None:
            main.cancel()
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
        stack.callback(loop.remove_signal_handler, number)
    return ending
