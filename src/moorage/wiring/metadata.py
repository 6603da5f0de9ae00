"""The metadata store that a start has chosen, opened."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.cache.known_links import SIZE_LIMIT, KnownLinks
from moorage.cache.link_memory import LinkMemory
from moorage.cache.shared_changes import SharedChanges
from moorage.config import Config
from moorage.metadata.background.background_runner import run_background_migrations
from moorage.metadata.base import CatalogueStore, LinkStore, ManifestStore, PullStore, SessionStore
from moorage.metadata.layout import LayoutCatalogue, LayoutLinks, LayoutManifests
from moorage.metadata.payloads import PayloadCache
from moorage.metadata.sql.catalogue import SqlCatalogue
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.manifests import SqlManifests
from moorage.metadata.sql.pulls import SqlPulls
from moorage.metadata.sql.sessions import SqlSessions
from moorage.sql.base import Database
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage.base import StorageDriver
from moorage.storage.locks import FilesystemClaim
from moorage.wiring.stores import DatabaseStore, LayoutStore, Store

if TYPE_CHECKING:
    from moorage.moving.adopting import Adoption
    from moorage.redis.guarded import GuardedRedis


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """One store, as its ports; what only a database has is None for the layout."""

    links: LinkStore
    manifests: ManifestStore
    catalogue: CatalogueStore
    database: Database | None = None
    adoption: "Adoption | None" = None
    """Takes link files over; None: there are none beside the database."""
    adopted: Callable[[], Awaitable[Mapping[str, int]]] | None = None
    """Counts repositories for metrics, by how far their adoption is; None: as above."""
    pulls: PullStore | None = None
    sessions: SessionStore | None = None
    known_blobs: LinkMemory[int] | None = None
    """Remembers where blobs are; None: it costs nothing to ask."""
    flushes: tuple[Callable[[], Awaitable[None]], ...] = field(default=())
    """Writes to do from time to time, and at the end."""
    chores: tuple[Callable[[], Coroutine[None, None, None]], ...] = field(default=())
    """Chores that one worker of a node does for as long as it lives."""


async def open_metadata(
    config: Config,
    store: Store,
    storage: StorageDriver,
    changes: SharedChanges | None = None,
    *,
    redis: "GuardedRedis | None" = None,
) -> Metadata:
    """Open the store; a PostgreSQL server need not be there yet.

    *changes*: shared by the processes of the node, so that what one takes away no other one remembers.
    *redis*: where all nodes remember, if the configuration wants it.

    Raises:
        DatabaseUnavailable: the SQLite file cannot be used.
    """
    match store:
        case LayoutStore(must_claim=must_claim):
            claim = FilesystemClaim(storage) if must_claim else None
            known_blobs, known = _memories(config, changes, redis)
            return Metadata(
                links=LayoutLinks(storage),
                manifests=LayoutManifests(storage, PayloadCache(), known=known, claim=claim),
                catalogue=LayoutCatalogue(storage),
                known_blobs=known_blobs,
            )
        case DatabaseStore(place=Path() as path):
            return _over(await SqliteDatabase.open(path, keeps_reserve=True), config, _link_files(store, storage))
        case DatabaseStore():
            from moorage.wiring.postgres import open_postgres  # noqa: PLC0415 - a start on SQLite need not wait for it

            return _over(await open_postgres(config), config, _link_files(store, storage))


def _memories(
    config: Config, changes: SharedChanges | None, redis: "GuardedRedis | None"
) -> tuple[LinkMemory[int], LinkMemory[str]]:
    """Return what remembers links of blobs, and of manifests."""
    cache = config.storage.cache
    if cache.chosen == "redis" and redis is not None:
        from moorage.redis.shared_links import (  # noqa: PLC0415 - who has no Redis need not wait for it
            SharedBlobLinks,
            SharedManifestLinks,
        )

        return SharedBlobLinks(redis, changes), SharedManifestLinks(redis, changes)
    limit = min(cache.blobdescriptorsize, SIZE_LIMIT) if cache.blobdescriptorsize > 0 else SIZE_LIMIT
    if cache.chosen != "inmemory":
        limit = 0
    return KnownLinks[int](limit, changes), KnownLinks[str](limit, changes)


def _link_files(store: DatabaseStore, storage: StorageDriver) -> StorageDriver | None:
    return storage if store.adopting else None


def _over(database: Database, config: Config, link_files: StorageDriver | None) -> Metadata:
    """*link_files*: the storage that has those to be adopted; None: there are none."""
    migrating = config.database.backgroundmigrations
    pulls, sessions = SqlPulls(database), SqlSessions(database)
    puts_off = not config.storage.maintenance.readonly.enabled
    found = Metadata(
        links=SqlLinks(database, puts_off=puts_off),
        manifests=SqlManifests(database, puts_off=puts_off),
        catalogue=SqlCatalogue(database),
        database=database,
        pulls=pulls,
        sessions=sessions,
        flushes=(pulls.flush, sessions.flush),
        chores=(partial(run_background_migrations, database, migrating),) if migrating.enabled else (),
    )
    if link_files is None:
        return found
    from moorage.wiring.adopting import adopting, adoption_counts  # noqa: PLC0415 - a start that adopts nothing need not wait for it

    parts = adopting(database, link_files, puts_off=puts_off)
    return replace(
        found,
        links=parts.links,
        manifests=parts.manifests,
        catalogue=parts.catalogue,
        adoption=parts.adoption,
        adopted=partial(adoption_counts, database),
        chores=(*found.chores, parts.walk.run),
    )
