"""Choice of the database that a configuration, or a storage, is about."""

import os
from pathlib import Path

from moorage.config import Config
from moorage.config.sections.database import DatabaseSection
from moorage.errors import ConfigurationError, Mistake
from moorage.metadata.schema.chains import refused
from moorage.moving.adoption_note import AdoptionNote
from moorage.sql.database_place import DatabasePlace, named_database, needed_database
from moorage.starting.configuration_file import find, read_or_defaults
from moorage.storage import locks
from moorage.storage.base import StorageDriver
from moorage.storage.restore_note import RestoreNote

_VARIABLES = "REGISTRY_DATABASE_"


def present_database(section: DatabaseSection) -> DatabasePlace:
    """Return the database that *section* names; a file has to be there.

    Raises:
        ConfigurationError: it names none, or there is no such file.
    """
    place = needed_database(section)
    if isinstance(place, Path) and not place.exists():
        raise ConfigurationError([Mistake("database.sqlite", f"there is no {place}")])
    return place


async def refuse_a_part(storage: StorageDriver, called: str) -> None:
    """Refuse what needs all images in one place; *called*: the storage.

    Raises:
        ConfigurationError: a database takes over link files, or a restore was not finished.
    """
    restore = await RestoreNote.read(storage)
    if restore is not None:
        raise ConfigurationError([Mistake("storage", f"{called}: {restore.said}")])
    if await AdoptionNote.read(storage) is not None:
        message = (
            f"a database is taking over the link files of {called}, so that neither of the two has all images; "
            "'moorage database adopt status' says when it will be done"
        )
        raise ConfigurationError([Mistake("database.adopt", message)])


async def database_beside(config: Config, storage: StorageDriver) -> DatabasePlace | None:
    """Return the database that the registry on *storage* uses; None: its metadata is in link files.

    Raises:
        ConfigurationError: storage says that it is elsewhere, so that all would look different.
    """
    found, section = await locks.read(storage), config.database
    await refuse_a_part(storage, "this storage")
    if section.enabled is False or (section.enabled == "prefer" and found.filesystem):
        if found.database:
            message = "storage says that its images are in a database; name it, or nothing can be compared"
            raise ConfigurationError([Mistake("database.enabled", message)])
        return None
    if found.filesystem:
        message = "storage says that its images are in link files; set database.enabled: false to check them"
        raise ConfigurationError([Mistake("database.enabled", message)])
    if section.enabled == "prefer" and not found.database:
        place = needed_database(section)
        if isinstance(place, Path) and not place.exists():
            return None
    return present_database(section)


def database_to_migrate(path: Path | None, data: Path | None) -> DatabasePlace:
    """Return the database that the configuration in *path* names; without one, that of a registry in *data*.

    Raises:
        ConfigurationError: there is none.
    """
    is_named = any(name.upper().startswith(_VARIABLES) for name in os.environ)
    if find(path) is None and data is None and not is_named:
        msg = (
            "configuration path unspecified: give it as an argument or in REGISTRY_CONFIGURATION_PATH; --data DIR is "
            "for the database of a registry that was started without a configuration"
        )
        raise refused(msg)
    if find(path) is not None and data is not None:
        msg = "--data is for use without a configuration: there, database.sqlite names the file"
        raise refused(msg)
    place = named_database(read_or_defaults(path, data=data).config.database)
    if place is None:
        msg = "the configuration names no database: there is nothing to migrate"
        raise refused(msg)
    return place
