"""Runs of an import of link files: the choice of storage and database, and what has to be so before."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from moorage.config import Config, GCSSection
from moorage.errors import ConfigurationError, Mistake
from moorage.metadata.import_records import ImportRecords
from moorage.metadata.imports import ImportStore
from moorage.metadata.schema import schema_version
from moorage.moving.dry_run import NothingTaken
from moorage.moving.gitlab_import import GitLabImport
from moorage.moving.importing import Import, ImportOptions, ImportRefused
from moorage.moving.outcome import Teller
from moorage.sql.base import Database
from moorage.sql.database_place import needed_database
from moorage.starting.database_preparing import left_as_one_file, prepare
from moorage.storage.base import StorageDriver
from moorage.wiring.databases import half_of, opened_database
from moorage.wiring.gitlab_source import gitlab_tables
from moorage.wiring.moving import import_records, import_store
from moorage.wiring.storage import local_folder, storage_driver

_TAG_CONCURRENCY_LIMIT = 5


def check_tag_concurrency(config: Config, wanted: int) -> None:
    """Refuse what GitLab refuses; here many are asked for at once in any case. Source: GitLab features IMP-012.

    Raises:
        ImportRefused: it is out of bounds, or storage is not on Google Cloud.
    """
    if not 1 <= wanted <= _TAG_CONCURRENCY_LIMIT:
        msg = f"tag-concurrency must be between 1 and {_TAG_CONCURRENCY_LIMIT}"
        raise ImportRefused(msg)
    if wanted > 1 and not isinstance(config.storage.driver, GCSSection):
        msg = "the tag concurrency option is only compatible with a gcs backed registry storage"
        raise ImportRefused(msg)


async def import_link_files(
    config: Config, options: ImportOptions, teller: Teller, *, gitlab: str = ""
) -> Mapping[str, int]:
    """Import, and return the numbers of rows of the database afterwards; empty in a dry run.

    *gitlab*: the DSN of the database of GitLab's registry, which is read instead of link files; empty: they are read.

    Raises:
        ConfigurationError: storage or database cannot be used.
        ImportRefused: it would not be safe.
        BackendError: storage or the database failed; the same command goes on.
    """
    folder = local_folder(config)
    if folder is not None and not folder.is_dir():
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", f"there is no folder {folder}")])
    place = needed_database(config.database)
    options = replace(options, storage_driver=config.storage.name)
    async with contextlib.AsyncExitStack() as stack:
        storage = storage_driver(config)
        stack.push_async_callback(storage.close)
        if isinstance(place, Path) and options.dry_run and not place.exists():
            return await _run(storage, NothingTaken(has_tags=False), options, teller, gitlab=gitlab)
        if not options.dry_run:
            await prepare(place)
        stack.enter_context(left_as_one_file(place))
        database = await stack.enter_async_context(opened_database(place, directly=True))
        (await schema_version.check(database)).refuse()
        return await _into(database, storage, options, teller, gitlab=gitlab)


async def _into(
    database: Database, storage: StorageDriver, options: ImportOptions, teller: Teller, *, gitlab: str
) -> Mapping[str, int]:
    found = import_store(database)
    options = replace(options, database=(await half_of(database)).identity)
    into: ImportStore = NothingTaken(has_tags=await found.has_tags()) if options.dry_run else found
    records = import_records(database)
    await _run(storage, into, options, teller, gitlab=gitlab, records=records)
    return await found.row_counts()


async def _run(
    storage: StorageDriver,
    database: ImportStore,
    options: ImportOptions,
    teller: Teller,
    *,
    gitlab: str,
    records: ImportRecords | None = None,
) -> Mapping[str, int]:
    if gitlab:
        async with gitlab_tables(gitlab) as tables:
            work = GitLabImport(storage, tables, database, teller, name=options.database)
            await work.run(dry_run=options.dry_run)
        return {}
    await Import(storage, database, options, teller, records=records).run()
    return {}
