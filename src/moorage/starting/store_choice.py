"""Choice of a start's metadata store: by the configuration, the lock files in storage, and what there is already.

Decided once, before there are workers. What each refusal means to a person, and what to do, is in
``docs/how-to/switch-to-the-database.md``; why two nodes cannot get past each other, in ``storage/locks.py``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.config import Config
from moorage.config.load import SQLITE_NAME
from moorage.config.sections.database import DatabaseSection
from moorage.errors import BackendError, ConfigurationError, Mistake, PathUnknown
from moorage.metadata.database_half import DatabaseHalf
from moorage.moving.adoption_note import AdoptionNote
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.permissions import reason_of
from moorage.sql.database_place import DatabasePlace, needed_database
from moorage.starting.misplaced import refuse_misplaced
from moorage.storage import identity, locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.locks import ENFORCEMENT_VARIABLE, Lock, Locks
from moorage.storage.presence import Activity, others_at_work
from moorage.storage.remote.remote_driver import RemoteDriver
from moorage.storage.restore_note import RestoreNote
from moorage.storage.walk import repository_folders
from moorage.telemetry import get_log
from moorage.wiring.storage import local_folder, storage_driver
from moorage.wiring.stores import DatabaseStore, LayoutStore, Store
from moorage.work.text_pipe import TextPipe

_log = get_log("serve")

Prepare = Callable[[DatabasePlace], Awaitable[bool]]
"""Makes a database ready to be used, and returns whether it holds images; it closes what it opens.

Raises:
    ConfigurationError: it cannot be used.
"""


Inspect = Callable[[DatabasePlace], Awaitable[DatabaseHalf]]
"""Asks a database that is ready for its name; it closes what it opens.

Raises:
    ConfigurationError: it cannot be asked.
"""


Begin = Callable[[DatabasePlace], Awaitable[bool]]
"""Notes in a ready database that it adopts link files, and returns whether it has them all; it closes what it opens.

Raises:
    ConfigurationError: it cannot be asked.
"""


def choose(
    config: Config, prepare: Prepare, inspect: Inspect | None = None, begin_adoption: Begin | None = None
) -> Store:
    """Decide where the metadata is, and note it in storage. Nothing stays open.

    Raises:
        ConfigurationError: what is configured would hide images or mix two stores, or cannot be used.
        StorageUnavailable: storage cannot be read.
    """
    return asyncio.run(_choose(config, prepare, inspect, begin_adoption))


async def _choose(config: Config, prepare: Prepare, inspect: Inspect | None, begin_adoption: Begin | None) -> Store:
    storage = storage_driver(config)
    try:
        if isinstance(storage, RemoteDriver):
            await storage.examine(can_write=not config.storage.maintenance.readonly.enabled)
        if locks.are_enforced():
            await refuse_misplaced(storage, config.storage.name)
        return await Choosing(
            storage=storage,
            database=config.database,
            prepare=prepare,
            inspect=inspect,
            begin_adoption=begin_adoption,
            enforces=locks.are_enforced(),
            usual_sqlite=_usual_sqlite(config),
        ).store()
    finally:
        await storage.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing:
    """Everything that a choice is made from."""

    storage: StorageDriver
    database: DatabaseSection
    prepare: Prepare
    inspect: Inspect | None = None
    """None: whether the two belong together is not looked at."""
    begin_adoption: Begin | None = None
    """None: nothing is adopted."""
    enforces: bool = True
    """True if lock files decide, and are written; if not, what they would refuse is only a warning."""
    usual_sqlite: Path | None = None
    """Place of the database for a start without a configuration."""

    async def store(self) -> Store:
        """See :func:`choose`."""
        restore = await RestoreNote.read(self.storage)
        if restore is not None:
            self._object(Mistake("storage", restore.said))
        found, note = await locks.read(self.storage), await AdoptionNote.read(self.storage)
        if note is not None or (self.database.adopt and not found.database):
            adopted = await self._adopted(found, note)
            if adopted is not None:
                return adopted
            found = await locks.read(self.storage)
        if found.filesystem and found.database:
            self._object(_BOTH)
        if self.database.enabled is False:
            if found.database:
                self._object(self._in_database())
            return await self._layout(found)
        if found.filesystem:
            if self.database.enabled == "prefer" and self.enforces:
                _log.warning(_FALLING_BACK, because=f"{_shown(Lock.FILESYSTEM)} is there")
                return await self._layout(found)
            self._object(_in_link_files(f"storage has {_shown(Lock.FILESYSTEM)}"))
        return await self._in_use(found)

    async def _adopted(self, found: Locks, note: AdoptionNote | None) -> Store | None:
        """The database with link files behind it; None if there is nothing to adopt, or not any more."""
        if not self.database.adopt or self.begin_adoption is None:
            if note is not None and found.filesystem:
                if self.database.enabled is not False:  # Not to be forced: it collects what only link files list.
                    raise ConfigurationError([_ADOPTING])
                self._object(_ADOPTING)
            return None
        if note is None and await _first_repository(self.storage) is None:
            return None
        if not self.enforces:  # Nobody has forced what would come of it: images that seem to be gone.
            raise ConfigurationError([_NEEDS_LOCKS])
        place = needed_database(self.database)
        name = await self._name_of_adopting(place, note)
        if await self.begin_adoption(place):
            from moorage.moving.adoption_walk import end_in_storage  # noqa: PLC0415 - other starts need not wait for it

            await end_in_storage(self.storage)
            return None
        for lock in Lock:
            await locks.write(self.storage, lock)
        if await AdoptionNote.read(self.storage) != AdoptionNote(name):
            self._object(_OTHER_ADOPTION)
        _log.info("link files are adopted: the registry serves them, and takes them over into the database")
        return DatabaseStore(place, identity=name, wishes=TextPipe())

    async def _name_of_adopting(self, place: DatabasePlace, note: AdoptionNote | None) -> str:
        """The name of the database, which storage notes as the one that adopts."""
        if note is not None and isinstance(place, Path) and not _has_content(place):
            self._object(_lost(self.database.sqlite, _SHOWN_ADOPTION, _shown(Lock.DATABASE)))
        has_images = await self.prepare(place)
        if note is None:
            await self._refuse_adoption(has_images=has_images)
        name = await self._identity(place)
        if note is None:
            await AdoptionNote(name).write(self.storage)
        elif note.database != name:
            self._object(_OTHER_ADOPTION)
        return name

    async def _refuse_adoption(self, *, has_images: bool) -> None:
        """Refuse to begin where two truths would be mixed."""
        from moorage.moving.import_note import ImportNote  # noqa: PLC0415 - a start that adopts nothing need not wait for it

        if has_images:
            self._object(_NOT_EMPTY)
        if await ImportNote.read(self.storage) is not None:
            self._object(_IMPORTING)
        writers = await others_at_work(self.storage, Activity.WRITING)
        if writers:
            message = (
                f"a registry that takes pushes is at work on this storage: {', '.join(map(str, writers))}; stop it "
                "before its link files are adopted"
            )
            self._object(Mistake("database.adopt", message))

    async def _layout(self, found: Locks) -> Store:
        if not self.enforces:
            return LayoutStore()
        if not found.filesystem and await _first_repository(self.storage) is None:
            if await _has_blobs(self.storage):
                _log.warning("storage holds blobs and no images: is their metadata in a database?")
            return LayoutStore(must_claim=True)
        try:
            await locks.write(self.storage, Lock.FILESYSTEM)
        except BackendError as exc:
            # Whoever can only read may serve what there is.
            _log.warning("storage cannot be marked as used without a database", error=str(exc))
        now = await locks.read(self.storage)
        if now.database:
            self._object(_BOTH)
        return LayoutStore(mark=await self.storage.get(Lock.FILESYSTEM.path) if now.filesystem else b"")

    async def _in_use(self, found: Locks) -> Store:
        """The database, unless it would hide images that it does not hold."""
        place = needed_database(self.database)
        is_new = isinstance(place, Path) and not _has_content(place)
        has_blobs = await _has_blobs(self.storage)
        if is_new and found.database and has_blobs:
            self._object(_lost(self.database.sqlite, _shown(Lock.DATABASE)))
        first = None if found.database else await _first_repository(self.storage)
        has_images = not is_new and await self.prepare(place)
        if first is not None and not has_images:
            because = f"storage holds images as link files, {first} for one, and the database holds none"
            if self.database.enabled == "prefer":
                _log.warning(_FALLING_BACK, because=because)
                return await self._layout(found)
            self._object(_in_link_files(because))
        elif has_blobs and not has_images:
            _log.warning("storage holds blobs and the database no images: is it the right database?")
        if is_new:
            await self.prepare(place)
        name = await self._identity(place)
        await self._take()
        return DatabaseStore(place, identity=name)

    async def _identity(self, place: DatabasePlace) -> str:
        """The database's name, noted in storage; the two must belong together."""
        if self.inspect is None or not self.enforces:
            return ""
        half, noted = await self.inspect(place), await identity.read(self.storage)
        if noted == identity.content_of(half.identity):
            return half.identity
        if noted is not None:
            self._object(_OTHER_DATABASE)
        if half.some_blobs and not await self._has_any(half.some_blobs):
            self._object(_other_storage(half.identity))
        try:
            await identity.write(self.storage, half.identity)
        except BackendError as exc:
            _log.warning("storage cannot be marked as that of this database", error=str(exc))
            return ""
        return half.identity

    async def _has_any(self, blobs: Sequence[Digest]) -> bool:
        return any(await self.storage.stat_each([paths.blob(digest) for digest in blobs]))

    async def _take(self) -> None:
        if not self.enforces:
            return
        try:
            await locks.write(self.storage, Lock.DATABASE)
        except BackendError as exc:
            message = f"{_shown(Lock.DATABASE)}, which has to be there beside a database, cannot be written: {exc}"
            raise ConfigurationError([Mistake("storage", message)]) from exc
        if (await locks.read(self.storage)).filesystem:
            self._object(_BOTH)

    def _object(self, mistake: Mistake) -> None:
        """Refuse; only warn where lock files do not decide."""
        if self.enforces:
            raise ConfigurationError([mistake])
        _log.warning(f"not refused, as {ENFORCEMENT_VARIABLE} is false", mistake=str(mistake))

    def _in_database(self) -> Mistake:
        usual = self.usual_sqlite
        name = f"database.sqlite: {usual}" if usual is not None and usual.exists() else _NAMES
        return Mistake(
            "database.enabled",
            f"storage has {_shown(Lock.DATABASE)}: its images are in a database, and without it the registry would "
            f"look empty; set database.enabled: true and {name}",
        )


def _shown(lock: Lock) -> str:
    return lock.path.lstrip("/")


_NAMES = "name the database by database.sqlite or by database.host and database.dbname"
_FALLING_BACK = "database.enabled is prefer, and images are in link files: serving them without the database"
_BOTH = Mistake(
    "storage",
    f"both {_shown(Lock.FILESYSTEM)} and {_shown(Lock.DATABASE)} are there, so images may be in link files and in a "
    "database; stop every registry on this storage, see which of the two has the images, and remove the other's file",
)


_SHOWN_ADOPTION = paths.ADOPTION.lstrip("/")
_ADOPTING = Mistake(
    "database.adopt",
    f"{_SHOWN_ADOPTION} says that a database is taking over the link files of this storage, and each of the two has a "
    "part of the images; set database.adopt: true and name that database until it is done",
)
_NEEDS_LOCKS = Mistake(
    "database.adopt",
    f"needs lock files, and {ENFORCEMENT_VARIABLE} is false: take the variable away until the adoption has ended; "
    "without them the database would be served alone, which does not have all images",
)
_OTHER_ADOPTION = Mistake(
    "database.adopt",
    f"{_SHOWN_ADOPTION} says that another database is taking over the link files of this storage; name that one",
)
_NOT_EMPTY = Mistake(
    "database.adopt",
    "the database holds images already: link files can be adopted only into one that is empty; name another one",
)
_IMPORTING = Mistake(
    "database.adopt",
    f"{paths.IMPORT.lstrip('/')} says that an import of these link files is not done; finish it by 'moorage database "
    "import', or remove that file and name a database that is empty",
)
_SHOWN_IDENTITY = paths.IDENTITY.lstrip("/")
_OTHER_DATABASE = Mistake(
    "storage",
    f"{_SHOWN_IDENTITY} says that the storage belongs to another database: what is pushed would be lost to one of the "
    "two; name the right folder and the right database; if they do belong together, because the images were moved on "
    "purpose, remove that file and start again",
)


def _other_storage(name: str) -> Mistake:
    return Mistake(
        "storage",
        "none of the blobs that the database knows is in storage: is the volume mounted, and is it the right folder? "
        "If they are lost and the database shall go on without them, make the file "
        f"{_SHOWN_IDENTITY} there with {identity.content_of(name).decode()}",
    )


def _in_link_files(because: str) -> Mistake:
    return Mistake(
        "database.enabled",
        f"{because}: with the database the registry would look empty; take the images over by 'moorage database "
        "import', or set database.enabled: false, or prefer, to go on serving them from link files",
    )


def _lost(path: str, *files: str) -> Mistake:
    """*files*: what storage says of the database that is gone. A new one is refused for any of them."""
    return Mistake(
        "database.sqlite",
        f"storage has {files[0]} and there is no {path}: a new database would look empty; bring the file "
        f"back, or {_NAMES}; to begin anew, remove {', '.join((*files, _SHOWN_IDENTITY))}",
    )


def _has_content(path: Path) -> bool:
    """Return whether a file is there and is not empty: a failed copy leaves an empty one."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except PermissionError as exc:
        message = f"{path} cannot be read: {reason_of(exc, path, 'read')}"
        raise ConfigurationError([Mistake("database.sqlite", message)]) from exc


def _usual_sqlite(config: Config) -> Path | None:
    folder = local_folder(config)
    return None if folder is None else folder / SQLITE_NAME


async def _first_repository(storage: StorageDriver) -> RepositoryName | None:
    async for name in repository_folders(storage):
        if await storage.exists(paths.manifests(name)):
            return name
    return None


async def _has_blobs(storage: StorageDriver) -> bool:
    try:
        return bool(await storage.list(paths.BLOBS, limit=1))
    except PathUnknown:
        return False
