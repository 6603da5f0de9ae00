"""Questions to the parts of a registry, and the words for what they answer. See ADR 132."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from moorage.core.damage import DamageFound
from moorage.errors import StorageFull
from moorage.gc.online.gc_administration import GcAdministration
from moorage.gc.online.one_database import NEXT_STEP, TWO_DATABASES
from moorage.health.questions import Ask
from moorage.http.node_status import PartFound, StatusPart
from moorage.integrity.progress import known_checks
from moorage.metadata.adoptions import AdoptionLedger
from moorage.metadata.background.background_migrations import MigrationProgress, Status
from moorage.metadata.queues import QUEUES
from moorage.notifications.administration import NotificationAdministration
from moorage.room import Room
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.storage.presence import Activity, others_at_work

LATE = timedelta(hours=1)
"""Work that is due, or waits, for longer is late."""
_SERVERS_LIMIT_S = 4.0
_SAID_LIMIT = 300
_UNSAID = "no reason is known"

_MAKE_ROOM = "make room, or delete images and collect garbage; pulls and deletes go on meanwhile"
_SEE_STORAGE = "see whether the storage is reachable and mounted; moorage doctor CONFIG tries each step"
_SEE_DATABASE = "see whether the database runs and can be reached; moorage doctor CONFIG tries each step"
_SEE_REDIS = "see whether Redis runs and can be reached; the registry goes on without it"
_SEE_REPLICAS = "see whether each replica runs and follows; reads go to the primary meanwhile"
_SEE_CHECK = "see what the check is about; while it fails this node answers nothing"
_REPAIR = "moorage check CONFIG --repair mends what can be mended; push again what is lost"
_RETRY = "moorage notifications retry sends them again once the receiver is well"
_DELIVER = "see whether a node with this endpoint in its configuration runs"
_COLLECT = "see gc in the configuration; moorage gc status shows the queues"
_MIGRATE = "moorage background-migrate run does them now; moorage background-migrate status shows them"
_ACCEPT = "moorage database adopt status shows what is left out; moorage database adopt accept agrees to it"
_LOOK_AT_FAULTS = "moorage database adopt status shows the repositories and why"
_CHECK = "moorage check CONFIG compares storage with the metadata while the registry serves"


def storage_part(storage: StorageDriver, room: Room, *, probe: Ask | None = None) -> StatusPart:
    """Return the part that keeps bytes. *probe*: asks it whether it can be used; None: its own one, which writes."""
    look = probe or storage.probe

    async def ask() -> PartFound:
        try:
            await look()
            room.check()
        except StorageFull as exc:
            return PartFound(state="broken", said=f"no room is left, pushes are refused: {exc}", next_step=_MAKE_ROOM)
        return PartFound(said=storage.name)

    return StatusPart(name="storage", kind="storage", ask=ask, next_step=_SEE_STORAGE)


def database_parts(database: Database | None) -> Sequence[StatusPart]:
    """Return the parts that keep metadata."""
    if database is None:
        return [StatusPart(name="database", kind="database", ask=_off("the metadata is in link files"))]

    async def ask() -> PartFound:
        await database.ping()
        return PartFound(said=str(database.dialect))

    async def ask_replicas() -> PartFound:
        servers = [one for one in await database.servers(limit_s=_SERVERS_LIMIT_S) if not one.is_primary]
        away = [f"{one.address}: {one.fault or one.state}" for one in servers if one.state != "online"]
        if away:
            return PartFound(state="look", said=_cut("; ".join(away)), next_step=_SEE_REPLICAS)
        return PartFound(said=", ".join(one.address for one in servers))

    parts = [StatusPart(name="database", kind="database", ask=ask, next_step=_SEE_DATABASE)]
    if database.has_replicas:
        parts.append(StatusPart(name="replicas", kind="replica", ask=ask_replicas, next_step=_SEE_REPLICAS))
    return parts


def redis_parts(asks: Mapping[str, Ask]) -> Sequence[StatusPart]:
    """Return a part for each Redis, by its section."""
    if not asks:
        return [StatusPart(name="redis", kind="redis", ask=_off("the configuration names none"))]
    return [StatusPart(name=name, kind="redis", ask=_well(ask), next_step=_SEE_REDIS) for name, ask in asks.items()]


def check_parts(names: Sequence[str], failing: Mapping[str, str]) -> Sequence[StatusPart]:
    """Return a part for each check of the configuration; *failing* changes as they are made."""

    def asking(name: str) -> Callable[[], Awaitable[PartFound]]:
        async def ask() -> PartFound:
            why = failing.get(name)
            return PartFound() if why is None else PartFound(state="broken", said=why, next_step=_SEE_CHECK)

        return ask

    return [StatusPart(name=name, kind="check", ask=asking(name)) for name in names]


def damage_part(remaining: Callable[[], Awaitable[DamageFound | None]]) -> StatusPart:
    """Return the part that tells of damaged blobs that clients have met."""

    async def ask() -> PartFound:
        damage = await remaining()
        return PartFound() if damage is None else PartFound(state="look", said=str(damage), next_step=_REPAIR)

    return StatusPart(name="blobs", kind="blobs", ask=ask)


def notifications_part(administration: NotificationAdministration, *, is_read_only: bool) -> StatusPart:
    """Return the part that tells other servers."""

    async def ask() -> PartFound:
        found = await administration.status()
        if not found:
            return PartFound(state="off", said="the configuration names no endpoint")
        for one in found:
            queue = one.queue
            if queue.failed:
                said = f"{queue.endpoint}: events that were given up: {queue.failed} ({queue.error or _UNSAID})"
                return PartFound(state="look", said=_cut(said), next_step=_RETRY)
            is_late = queue.waiting_since is not None and datetime.now(UTC) - queue.waiting_since > LATE
            if queue.waiting and (is_late or not (one.is_delivered or is_read_only)):
                said = f"{queue.endpoint}: events that wait: {queue.waiting} ({queue.error or 'no node delivers them'})"
                return PartFound(state="look", said=_cut(said), next_step=_DELIVER)
        return PartFound(said=", ".join(one.queue.endpoint for one in found))

    return StatusPart(name="notifications", kind="notifications", ask=ask, next_step=_SEE_DATABASE)


def collection_part(collection: GcAdministration, *, is_read_only: bool) -> StatusPart:
    """Return the part that collects garbage while the registry serves."""

    async def off() -> str | None:
        if collection.adoption is not None and not await collection.adoption.is_ended():
            return "it begins once all link files are taken over"
        return "the registry is read-only" if is_read_only else None

    async def ask() -> PartFound:
        if (reason := await off()) is not None:
            return PartFound(state="off", said=reason)
        if collection.one is not None and not await collection.one.is_alone():
            return PartFound(state="look", said=TWO_DATABASES, next_step=NEXT_STEP)
        left_out = [queue for queue in QUEUES if queue not in collection.collectors]
        if left_out:
            said = f"this node does not collect: {', '.join(f'{queue}s' for queue in left_out)}"
            return PartFound(state="look", said=said, next_step=_COLLECT)
        waiting = 0
        for queue in QUEUES:
            state = await collection.queues.state(queue)
            if state.failed:
                said = f"reviews that failed and are tried again: {state.failed} ({state.error or _UNSAID})"
                return PartFound(state="look", said=_cut(said), next_step=_COLLECT)
            if state.due_since is not None and datetime.now(UTC) - state.due_since > LATE:
                said = f"reviews that are late: {state.due}, since {state.due_since:%Y-%m-%d %H:%M} UTC"
                return PartFound(state="look", said=said, next_step=_COLLECT)
            waiting += state.waiting
        return PartFound(said=f"reviews that wait: {waiting}")

    return StatusPart(name="collection", kind="collection", ask=ask, next_step=_SEE_DATABASE)


def migrations_part(progress: Callable[[], Awaitable[Sequence[MigrationProgress]]], *, migrates: bool) -> StatusPart:
    """Return the part that migrates data while the registry serves; *migrates*: this node does."""

    async def ask() -> PartFound:
        found = [item for item in await progress() if item.migration.status != Status.FINISHED]
        said = _cut(", ".join(f"{item.migration.name} {item.done:.0%}" for item in found))
        stuck = [item for item in found if item.migration.status in (Status.FAILED, Status.PAUSED)]
        if stuck or (found and not migrates):
            words = {item.migration.status.name.lower() for item in stuck} or {"off on this node"}
            return PartFound(state="look", said=f"{said} ({', '.join(sorted(words))})", next_step=_MIGRATE)
        return PartFound(said=said)

    return StatusPart(name="background-migrations", kind="background-migrations", ask=ask, next_step=_SEE_DATABASE)


def adoption_part(ledger: AdoptionLedger) -> StatusPart:
    """Return the part that takes link files over."""

    async def ask() -> PartFound:
        progress = await ledger.progress()
        if progress is None or progress.stage == "ended":
            return PartFound(state="off", said="no link files are left to take over")
        total = "?" if progress.repositories is None else progress.repositories
        said = f"repositories: {progress.taken} of {total}"
        if progress.faults:
            said += f", not taken over: {progress.faults}"
            return PartFound(state="look", said=said, next_step=_LOOK_AT_FAULTS)
        if progress.stage == "waiting":
            return PartFound(state="look", said=f"{said}, left out: {progress.left_out}", next_step=_ACCEPT)
        return PartFound(said=said)

    return StatusPart(name="adoption", kind="adoption", ask=ask, next_step=_SEE_DATABASE)


def integrity_part(storage: StorageDriver) -> StatusPart:
    """Return the part that tells of the last check of storage against metadata."""

    async def ask() -> PartFound:
        last = (await known_checks(storage)).last
        if last is None:
            return PartFound(state="off", said="no check has come to its end yet", next_step=_CHECK)
        left = sum(count.number - count.repaired for count in last.tally.differences.values())
        if left:
            return PartFound(state="look", said=f"differences that are not repaired: {left}", next_step=_REPAIR)
        return PartFound(said=f"the last check ended at {last.ended_at:%Y-%m-%d %H:%M} UTC" if last.ended_at else "")

    return StatusPart(name="integrity", kind="integrity", ask=ask, next_step=_SEE_STORAGE)


async def nodes_at_work(storage: StorageDriver) -> Mapping[str, int]:
    """Count the processes that have said on a storage that they take pushes, by their host.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    found: dict[str, int] = {}
    for each in await others_at_work(storage, Activity.WRITING):
        host = each.who.split(" process ")[0]
        found[host] = found.get(host, 0) + 1
    return dict(sorted(found.items()))


def _off(said: str) -> Callable[[], Awaitable[PartFound]]:
    async def ask() -> PartFound:
        return PartFound(state="off", said=said)

    return ask


def _well(question: Ask) -> Callable[[], Awaitable[PartFound]]:
    async def ask() -> PartFound:
        await question()
        return PartFound()

    return ask


def _cut(text: str) -> str:
    return text if len(text) <= _SAID_LIMIT else f"{text[: _SAID_LIMIT - 1]}…"
