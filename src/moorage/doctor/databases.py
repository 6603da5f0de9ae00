"""The database: reachable, of this code's schema, with this machine's time, and the other half of this storage."""

from pathlib import Path

from moorage.config import Config
from moorage.doctor.clocks import Now, compare_clocks
from moorage.doctor.diagnosis import Report
from moorage.errors import ConfigurationError
from moorage.gc.online.one_database import NEXT_STEP, TWO_DATABASES
from moorage.metadata.schema.schema_version import PENDING, SchemaState
from moorage.metadata.schema.schema_version import check as check_schema
from moorage.moving.adoption_note import AdoptionNote
from moorage.sql import clock
from moorage.sql.base import Database
from moorage.sql.database_place import DatabasePlace, named_database
from moorage.starting.database_choice import database_beside
from moorage.storage import identity, locks, paths
from moorage.storage.base import StorageDriver
from moorage.wiring.collection import one_database
from moorage.wiring.databases import half_of, opened_database
from moorage.wiring.postgres import check_server, open_postgres

CHECK = "database"
_SERVER_S = 10.0
_MIGRATE = "run: moorage database migrate up"


async def check_database(config: Config, storage: StorageDriver | None, report: Report, now: Now) -> None:
    """Look at the database that a registry with this configuration would use.

    *storage*: None: it cannot be used, so that nothing is compared with it.

    Raises:
        ConfigurationError, BackendError: it cannot be used.
    """
    section = config.database
    place = named_database(section)
    if section.enabled is not False and isinstance(place, Path) and not place.exists() and await _is_new(storage):
        report.warn(CHECK, f"there is no {place}", "the first start makes it")
        return
    note = None if storage is None else await AdoptionNote.read(storage)
    if note is not None:
        _say_adopting(config, report)
    elif storage is not None:
        place = await database_beside(config, storage)
    if section.enabled is False or place is None:
        report.skip(CHECK, "off: what there is stands in link files in storage")
        return
    if not isinstance(place, Path):
        await check_server(place)
    async with opened_database(place) as database:
        await database.ping()
        report.good(CHECK, _in_words(place))
        state = await check_schema(database)
        _say_schema(state, report)
        if not isinstance(place, Path):
            asked = now()
            theirs = await clock.now(database)
            compare_clocks(report, "database", theirs, asked=asked, answered=now())
        if storage is not None and state.verdict not in ("too old", "too new"):
            await _compare_halves(database, storage, note, report)
    if section.loadbalancing.enabled:
        await _check_replicas(config, report)


async def _is_new(storage: StorageDriver | None) -> bool:
    return storage is None or not (await locks.read(storage)).database


def _say_adopting(config: Config, report: Report) -> None:
    check = "adoption"
    if config.database.adopt:
        said = "the database is taking over the link files of this storage; until the end nothing is collected"
        report.warn(check, said, "'moorage database adopt status' says how far it is, and what somebody has to look at")
    else:
        said = "a database is taking over the link files of this storage, and this configuration does not say so"
        report.fail(check, said, "set database.adopt: true, or the registry will not start")


def _in_words(place: DatabasePlace) -> str:
    if isinstance(place, Path):
        return f"{place} can be read and written; of SQLite all nodes must be on this one machine"
    return f"{place.dbname} at {place.host} answers and can be written to"


def _say_schema(state: SchemaState, report: Report) -> None:
    check = "schema"
    match state.verdict:
        case "too old":
            report.fail(check, PENDING, _MIGRATE)
        case "too new":
            try:
                state.refuse()
            except ConfigurationError as exc:
                report.fail(check, exc.mistakes[0].message)
        case "post-deployment pending":
            names = ", ".join(step.migration.name for step in state.pending)
            report.warn(check, f"post-deployment migrations are pending: {names}", f"once all nodes run it, {_MIGRATE}")
        case "newer and compatible":
            said = f"newer code has migrated it to {state.newer[-1].name}, and this code still works with it"
            report.warn(check, said, "bring this node to the version of the others")
        case "current":
            report.good(check, f"it is that of this code: {state.newest}")


async def _compare_halves(
    database: Database, storage: StorageDriver, note: AdoptionNote | None, report: Report
) -> None:
    check = "database and storage"
    half, noted = await half_of(database), await identity.read(storage)
    shown = paths.IDENTITY.lstrip("/")
    if noted is not None and noted != identity.content_of(half.identity):
        said = f"{shown} in storage names another database"
        report.fail(check, said, "give all nodes the same database and the same storage")
    elif note is not None and note.database != half.identity:
        said = f"{paths.ADOPTION.lstrip('/')} in storage names another database, which takes over the link files"
        report.fail(check, said, "name that database, or the registry will not start")
    elif half.some_blobs and not any(await storage.stat_each([paths.blob(digest) for digest in half.some_blobs])):
        said = "none of the blobs that the database knows is in storage"
        report.fail(check, said, "see whether the volume is mounted, and whether it is the right folder or bucket")
    elif noted is None:
        report.good(check, f"the first start writes {shown}, by which they know each other")
    elif await one_database(database, storage).has_company():
        report.fail(check, TWO_DATABASES, NEXT_STEP)
    else:
        report.good(check, "they belong together")


async def _check_replicas(config: Config, report: Report) -> None:
    database = await open_postgres(config)
    try:
        for server in await database.servers(limit_s=_SERVER_S):
            check = f"replica {server.address}"
            if server.is_primary:
                continue
            if server.fault:
                report.warn(check, server.fault, "reads go to the primary meanwhile; see the standby's own log")
            else:
                report.good(check, "it answers and follows the primary")
    finally:
        await database.close()
