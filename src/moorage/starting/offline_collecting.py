"""Runs of offline garbage collection, on the storage that a configuration names."""

import asyncio

from moorage.config import Config
from moorage.gc.offline.offline_collection import CollectionRefused, collect_offline
from moorage.gc.offline.offline_run import OfflineOptions, Totals
from moorage.telemetry import get_log
from moorage.wiring.storage import local_folder, storage_driver
from moorage.work.reports import WorkReports

_log = get_log("garbagecollect")


def see_that_it_has_link_files(config: Config) -> None:
    """Refuse a registry whose metadata is in a database.

    Raises:
        CollectionRefused: it is.
    """
    if config.database.enabled is True:
        msg = (
            "the garbage-collect command is not compatible with database metadata, please use online garbage "
            "collection instead"
        )
        raise CollectionRefused(msg)


def collect_garbage(config: Config, options: OfflineOptions, reports: WorkReports) -> Totals:
    """Collect garbage while no registry takes pushes, and return what was done.

    Raises:
        CollectionRefused: it would not be safe.
        StorageFull, StorageUnavailable, NotesFull: storage, or the disk of the temporary file, failed.
    """
    see_that_it_has_link_files(config)
    folder = local_folder(config)
    if folder is not None and not folder.is_dir():
        _log.warning("skipping garbage collection: there is no such folder", path=str(folder))
        return Totals()

    async def main() -> Totals:
        storage = storage_driver(config)
        try:
            return await collect_offline(storage, options, reports)
        finally:
            await storage.close()

    return asyncio.run(main())
