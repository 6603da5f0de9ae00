"""A database as a registry's metadata. Imported where there is one."""

from dataclasses import replace
from functools import partial

from moorage.config import Config
from moorage.metadata.background.background_runner import run_background_migrations
from moorage.metadata.sql.catalogue import SqlCatalogue
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.manifests import SqlManifests
from moorage.metadata.sql.pulls import SqlPulls
from moorage.metadata.sql.sessions import SqlSessions
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.wiring.opened_metadata import Metadata
from moorage.work.text_pipe import TextPipe


def sql_metadata(database: Database, config: Config, storage: StorageDriver, wishes: TextPipe | None) -> Metadata:
    """Return the stores of *database*; *wishes*: see :class:`DatabaseStore`; None: *storage* has nothing to adopt."""
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
    if wishes is None:
        return found
    from moorage.wiring.adopting import adopting, adoption_counts  # noqa: PLC0415 - a start that adopts nothing need not wait for it

    parts = adopting(database, storage, wishes, puts_off=puts_off)
    return replace(
        found,
        links=parts.links,
        manifests=parts.manifests,
        catalogue=parts.catalogue,
        adoption=parts.adoption,
        adopted=partial(adoption_counts, database),
        chores=(*found.chores, parts.walk.run),
    )
