"""The parts of a registry that administrators are told of, put together."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from moorage.config import Config
from moorage.core.damage import DamageFound
from moorage.gc.online.gc_administration import GcAdministration
from moorage.health.questions import Ask
from moorage.health.watch import HealthWatch
from moorage.http import registry_parts as parts
from moorage.http.node_status import NodeStatus, StatusPart
from moorage.metadata.adoptions import AdoptionLedger
from moorage.metadata.background.background_migrations import progress
from moorage.notifications.administration import NotificationAdministration
from moorage.room import Room
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.wiring.health import storage_question


def node_status(
    config: Config,
    storage: StorageDriver,
    *,
    room: Room,
    redises: Mapping[str, Ask],
    health: HealthWatch,
    damaged: Callable[[], Awaitable[DamageFound | None]],
    database: Database | None = None,
    work: tuple[StatusPart, ...] = (),
) -> NodeStatus:
    """Make what asks the parts of a registry; *work*: those of :func:`database_work`, where there is a database."""
    is_read_only = config.storage.maintenance.readonly.enabled
    return NodeStatus(
        [
            parts.storage_part(storage, room, probe=storage_question(storage, is_read_only=is_read_only)),
            *parts.database_parts(database),
            *parts.redis_parts(redises),
            *parts.check_parts(sorted(health.names), health.failing),
            parts.damage_part(damaged),
            *work,
            parts.integrity_part(storage),
        ],
        metadata="link files" if database is None else "database",
        nodes=partial(parts.nodes_at_work, storage),
        is_read_only=is_read_only,
    )


def database_work(
    config: Config,
    database: Database,
    *,
    collection: GcAdministration,
    notifications: NotificationAdministration,
    ledger: AdoptionLedger,
) -> tuple[StatusPart, ...]:
    """Return the parts that are work on a metadata database."""
    is_read_only = config.storage.maintenance.readonly.enabled
    return (
        parts.notifications_part(notifications, is_read_only=is_read_only),
        parts.collection_part(collection, is_read_only=is_read_only),
        parts.migrations_part(partial(progress, database), migrates=config.database.backgroundmigrations.enabled),
        parts.adoption_part(ledger),
    )
