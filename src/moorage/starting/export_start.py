"""Runs of an export into link files: the choice of storage and database."""

import contextlib
from dataclasses import replace

from moorage.config import Config
from moorage.metadata.schema import schema_version
from moorage.moving.exporting import Export, Exported, ExportOptions
from moorage.moving.outcome import Teller
from moorage.starting.database_choice import present_database
from moorage.wiring.databases import half_of, opened_database
from moorage.wiring.moving import export_store
from moorage.wiring.storage import storage_driver


async def export_link_files(config: Config, options: ExportOptions, teller: Teller) -> Exported:
    """Export, and return what was done.

    Raises:
        ConfigurationError: storage or database cannot be used.
        ExportRefused: it would not be safe.
        BackendError: storage or the database failed; the same command goes on.
    """
    place = present_database(config.database)
    async with contextlib.AsyncExitStack() as stack:
        storage = storage_driver(config)
        stack.push_async_callback(storage.close)
        database = await stack.enter_async_context(opened_database(place, directly=True))
        (await schema_version.check(database)).refuse()
        options = replace(options, database=(await half_of(database)).identity)
        return await Export(storage, export_store(database), options, teller).run()
