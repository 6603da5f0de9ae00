"""The two servers that a backup is made of, or brought back to: their configurations, and where each keeps its data."""

import os
from dataclasses import dataclass
from pathlib import Path

from moorage.backup.backup_folder import BackupRefused, make_folder
from moorage.backup.backup_record import StoreKind, is_inside
from moorage.backup.kept_files import named_by_control, named_by_registry
from moorage.config import Config
from moorage.control.configuration import LoadedControl, read_control
from moorage.errors import ConfigurationError, Mistake
from moorage.sql.database_place import DatabasePlace, PostgresSettings, postgres_settings
from moorage.starting.configuration_file import find, read, read_or_defaults
from moorage.storage.base import Capability, StorageDriver
from moorage.wiring.storage import capabilities_of, local_folder, storage_driver

CONTROL_FILE = "control.yml"
CONTROL_VARIABLE = "MOORAGE_CONTROL"
_UP_FILE = Path("data/config.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlaces:
    """The configurations, read."""

    config: Config
    config_file: Path | None
    """None: the registry is served by defaults."""
    control: LoadedControl | None = None
    control_file: Path | None = None

    def named_files(self) -> list[tuple[str, Path]]:
        """Return the configuration files, and all that they name, with the keys that do."""
        found = [] if self.config_file is None else [("config.yml", self.config_file)]
        found += named_by_registry(self.config)
        if self.control is not None and self.control_file is not None:
            found.append((CONTROL_FILE, self.control_file))
            found += named_by_control(self.control.configuration, self.control.folder)
        return found

    def outside(self, folder: Path) -> Path | None:
        """Return something that the configurations name and that is not in *folder*; None: all of it is."""
        files = [path for _, path in self.named_files()]
        root = local_folder(self.config)
        files += [root.absolute() if root is not None else Path("/")]
        sqlite = self.config.database.sqlite
        files += [Path(sqlite).absolute()] if sqlite else []
        if self.control is not None:
            database = self.control.configuration.database
            files.append(Path("/") if database.host else Path(database.sqlite))
        return next((path for path in files if not is_inside(path, folder)), None)

    def storage(self, *, must_be_there: bool = True) -> StorageDriver:
        """Open the registry's storage.

        Raises:
            ConfigurationError: it is in memory, or *must_be_there* and is not.
        """
        if Capability.SHARED not in capabilities_of(self.config):
            message = "what a registry keeps in memory cannot be copied from outside it"
            raise ConfigurationError([Mistake(f"storage.{self.config.storage.name}", message)])
        root = local_folder(self.config)
        if root is not None and not root.is_dir():
            if must_be_there:
                raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", f"there is no folder {root}")])
            make_folder(root.absolute())
        return storage_driver(self.config)

    def control_database(self) -> DatabasePlace:
        """Return where the control plane keeps its tables."""
        if self.control is None:
            msg = "there is no control plane"
            raise BackupRefused(msg)
        return place_of_control(self.control)


def read_targets(config: Path, control: Path | None) -> ServerPlaces:
    """Read the configurations of places that a backup is brought back to; no variable names one that is in use.

    Raises:
        ConfigurationError: one of them cannot be used; with every mistake.
    """
    beside = config.with_name(CONTROL_FILE)
    file = control or (beside if beside.exists() else None)
    return ServerPlaces(
        config=read(config).config,
        config_file=config.absolute(),
        control=None if file is None else read_control(file, os.environ),
        control_file=None if file is None else file.absolute(),
    )


def read_places(config: Path | None, control: Path | None, *, data: Path | None = None) -> ServerPlaces:
    """Read the configurations.

    Args:
        config: the registry's; None: the file that its variable names, that of ``moorage up``, or the defaults.
        control: the control plane's; None: the file that its variable names, or one beside the registry's.
        data: without a file: where ``moorage serve`` keeps its data.

    Raises:
        ConfigurationError: one of them cannot be used; with every mistake.
    """
    file = find(config)
    if file is None and data is None and _UP_FILE.exists():
        file = _UP_FILE
    loaded = read_or_defaults(None, data=data) if file is None else read(file)
    named = os.environ.get(CONTROL_VARIABLE)
    beside = None if file is None else file.with_name(CONTROL_FILE)
    if control is None:
        control = Path(named) if named else beside if beside is not None and beside.exists() else None
    return ServerPlaces(
        config=loaded.config,
        config_file=None if file is None else file.absolute(),
        control=None if control is None else read_control(control, os.environ),
        control_file=None if control is None else control.absolute(),
    )


def scratch_server(config: Path) -> PostgresSettings:
    """Read which PostgreSQL server makes databases for trials.

    Raises:
        ConfigurationError: the configuration cannot be used, or names no server.
    """
    section = read(config).config.database
    if not section.host:
        raise ConfigurationError(
            [Mistake("database.host", f"is needed in {config}: a PostgreSQL server for the trial")]
        )
    return postgres_settings(section)


def place_of_control(loaded: LoadedControl) -> DatabasePlace:
    """Return the control plane's database, so that it is reached in the same way as the registry's."""
    database = loaded.configuration.database
    if not database.host:
        return Path(database.sqlite)
    names = ("host", "port", "dbname", "user", "password", "sslmode", "sslrootcert")
    return PostgresSettings(**{name: getattr(database, name) for name in names if getattr(database, name)})


def kind_of(place: DatabasePlace | None) -> StoreKind:
    """Return the word for a kind of database; None: link files."""
    if place is None:
        return "layout"
    return "sqlite" if isinstance(place, Path) else "postgresql"


def see_that_they_are_two(control: DatabasePlace | None, registry: DatabasePlace | None) -> None:
    """Refuse one database for both: whose a table is cannot be told, and a second file would replace the first.

    Raises:
        BackupRefused: it is one.
    """
    if control is None or registry is None or _named(control) != _named(registry):
        return
    msg = (
        f"registry and control plane are in one database, {_named(registry)}, which could not be brought back: give "
        "each a database of its own"
    )
    raise BackupRefused(msg)


def _named(place: DatabasePlace) -> str:
    if isinstance(place, Path):
        return str(place.resolve())
    primary = place.of_primary()
    return f"{primary.dbname} on {primary.host}:{primary.port}"
