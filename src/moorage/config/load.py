"""Reading a configuration: file and environment in, models out, with every mistake and warning there is."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from moorage.config.bare_numbers import bare_durations
from moorage.config.checks import after, before
from moorage.config.documents import NotYAML, WrittenValue, plain, read_document
from moorage.config.environment import Overrides
from moorage.config.messages import mistakes_of
from moorage.config.misplaced import misplaced_guard
from moorage.config.old_keys import old_key_warnings
from moorage.config.realms import realm_warnings
from moorage.config.refusals import refusals
from moorage.config.root import Config
from moorage.config.schema import Node, tree
from moorage.config.section import Section
from moorage.config.sections.auth import AUTHS
from moorage.config.sections.storage import DRIVERS, FilesystemSection, Storage
from moorage.config.shown_names import nearest, shown
from moorage.config.storage_middleware import unknown_options
from moorage.config.unimplemented import not_implemented
from moorage.errors import ConfigurationError, Mistake

SQLITE_NAME = "moorage.db"
"""The database's file in the storage folder, where nothing was configured."""

_COMMON_STORAGE_KEYS = frozenset(Storage.model_fields) - {"driver", "name"}
_NULL_MATTERS = frozenset({"storage", "storage.maintenance", "auth"})
"""Sections below which an empty key says something."""
_BARE_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?/?", re.ASCII)
_NEAR = 0.7
"""Least likeness, from 0 to 1, of two words if one may be meant by the other."""
_HINTED_PLACES = 8
"""A key that is known in more places than this is no hint at where it belongs."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what should be said about it."""

    config: Config
    warnings: tuple[str, ...] = ()
    not_implemented: tuple[str, ...] = ()
    """Keys that were given and whose feature does not exist yet."""
    unknown: tuple[str, ...] = ()
    """Keys of the file that are none of this registry's."""
    refused: tuple[Mistake, ...] = ()
    """Keys whose feature does not exist yet and whose silence would do harm: no command goes on with them."""


def load(text: str, environ: Mapping[str, str]) -> Loaded:
    """Read the text of a ``config.yml``, with ``REGISTRY_*`` variables over it.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    reading = _Reading()
    return reading.read(reading.mapping(text, environ), environ)


def defaults(root_directory: str, addr: str) -> Config:
    """Return the configuration that ``moorage serve`` uses without a file and without a variable."""
    return load_defaults(root_directory, addr, {}).config


def load_defaults(root_directory: str, addr: str, environ: Mapping[str, str]) -> Loaded:
    """Read the configuration without a file: the defaults, with ``REGISTRY_*`` variables over them.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    given = {
        "version": "0.1",
        "log": {"formatter": "text", "accesslog": {"formatter": "text"}},
        "http": {"addr": addr, "draintimeout": "5s"},
        "storage": {"filesystem": {"rootdirectory": root_directory}, "delete": {"enabled": True}},
        # Nobody has to know of them where there is one file and one machine.
        "database": {"enabled": "prefer", "backgroundmigrations": {"enabled": True}},
    }
    return _Reading(settle=_settled).read(given, environ)


def _settled(data: dict[str, Any]) -> dict[str, Any]:
    """The defaults that depend on what the variables have said: where the usual database is."""
    storage, database = data.get("storage"), data.get("database")
    if isinstance(storage, dict) and len(set(storage) & set(DRIVERS)) > 1:
        # Another driver was named; the folder is the default's.
        storage = {key: value for key, value in storage.items() if key != "filesystem"}
        data = {**data, "storage": storage}
    if not isinstance(database, dict) or any(database.get(key) for key in ("sqlite", "host", "dbname")):
        return data
    driver = {} if storage == "filesystem" else storage.get("filesystem") if isinstance(storage, dict) else None
    if isinstance(driver, dict):
        root = str(driver.get("rootdirectory") or FilesystemSection().rootdirectory)
        return {**data, "database": {**database, "sqlite": str(PurePath(root, SQLITE_NAME))}}
    return {**data, "database": {**database, "enabled": False}} if database.get("enabled") == "prefer" else data


@cache
def _schema() -> Node:
    return tree()


def _hints_of(environ: Mapping[str, str]) -> list[str]:
    """Return the warnings about the variables alone; their mistakes may come from what the file lacks."""
    overrides = Overrides(_schema())
    overrides.apply({}, environ)
    return overrides.warnings


class _Reading:
    def __init__(self, settle: Callable[[dict[str, Any]], dict[str, Any]] = lambda data: data) -> None:
        self._settle = settle
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []
        self.unknown: list[str] = []
        self._given: Mapping[str, Any] = {}

    def read(self, given: dict[str, Any], environ: Mapping[str, str]) -> Loaded:
        overrides = Overrides(_schema())
        data = self._settle(overrides.apply(given, environ))
        self.mistakes += overrides.mistakes
        self.warnings += overrides.warnings
        self._given = data
        given = self._known(data, _schema(), "")
        self._settle_host(given)
        self.mistakes += before(given)
        config = self._config(given)
        if config is not None:
            self.mistakes += after(config)
        if self.mistakes or config is None:
            raise ConfigurationError([overrides.named(mistake) for mistake in self.mistakes], self.warnings)
        self.warnings += bare_durations(given, _schema())
        self.warnings += realm_warnings(config)
        self.warnings += old_key_warnings(config)
        for where, hint in unknown_options(config):
            self.unknown.append(where)
            self.warnings.append(f"{where}: unknown key, ignored{hint}")
        missing = tuple(dict.fromkeys(not_implemented(given, _schema())))
        refused = tuple(overrides.named(mistake) for mistake in refusals(config))
        return Loaded(config, tuple(self.warnings), missing, tuple(self.unknown), refused)

    def _settle_host(self, given: dict[str, Any]) -> None:
        """Take ``http.host`` as the peers do: what has no scheme is not used, and a prefix counts once."""
        http = given.get("http")
        host = http.get("host") if isinstance(http, dict) else None
        if not isinstance(http, dict) or not isinstance(host, str) or not host:
            return
        prefix = str(http.get("prefix") or "").strip("/")
        bare = host.rstrip("/")
        if "://" not in host and _BARE_HOST.fullmatch(host):
            given["http"] = {**http, "host": ""}
            self.warnings.append(
                "http.host: it has no scheme and is not used, as in other registries: Location headers go by the "
                "request; write a URL, such as https://registry.example.com"
            )
        elif prefix and bare.partition("://")[2].endswith(f"/{prefix}"):
            given["http"] = {**http, "host": bare[: -len(prefix) - 1]}

    def mapping(self, text: str, environ: Mapping[str, str]) -> dict[str, Any]:
        try:
            data = read_document(text)
        except NotYAML as exc:
            where = f"line {exc.line}" if exc.line is not None else ""
            mistake = Mistake(where, f"not YAML: {exc}")
            raise ConfigurationError([mistake], _hints_of(environ)) from None
        if data is None:
            return {}
        if not isinstance(data, dict):
            mistake = Mistake("", "the file must be a mapping of keys, such as version: 0.1")
            raise ConfigurationError([mistake], _hints_of(environ))
        return {str(key): value for key, value in data.items()}

    def _known(self, data: Mapping[Any, Any], node: Node, path: str) -> dict[str, Any]:
        """The part of *data* that has known keys; keys that are given empty are left out, for their defaults."""
        known: dict[str, Any] = {}
        for raw, value in data.items():
            key = str(raw)
            where = f"{path}.{shown(key)}" if path else shown(key)
            child = node.values if node.children is None else node.children.get(key)
            if child is not None and (value is not None or path in _NULL_MATTERS):
                known[key] = self._known_value(value, child, where)
            elif child is None and node.takes_name:
                known[key] = None  # A driver or scheme that there is not: a mistake, found where one is chosen.
            elif child is None:
                self._note_unknown(where, key, node, path, beside=data)
        return known

    def _known_value(self, value: object, node: Node, where: str) -> object:
        if isinstance(value, str) and node.takes_name:
            value = {value: {}}
        if isinstance(value, dict) and (node.children is not None or node.values is not None):
            return self._known(value, node, where)
        if isinstance(value, list) and node.items is not None:
            return [self._known_value(item, node.items, f"{where}[{i}]") for i, item in enumerate(value)]
        takes_text = node.takes_text or (node.items is not None and node.items.takes_text)
        if takes_text and isinstance(value, WrittenValue):
            return value.text
        return plain(value)

    def _note_unknown(self, where: str, key: str, node: Node, path: str, *, beside: Mapping[Any, Any]) -> None:
        if key.lower() in beside and key.lower() in (node.children or {}):
            message = (
                f"is there beside {shown(key.lower())}, and keys are written in small letters; take one of them out"
            )
            self.mistakes.append(Mistake(where, message))
            return
        near = nearest(key.lower(), node.children or (), likeness=_NEAR)
        place = (f"{path}.{near}" if path else near) if near else _place_of(key)
        if guard := misplaced_guard(key, beside.get(key), place, self._given):
            message = f"unknown key; did you mean {guard}? To ignore it would leave open what it protects"
            self.mistakes.append(Mistake(where, message))
            return
        self.unknown.append(where)
        hint = f"; did you mean {place}?" if place else ""
        self.warnings.append(f"{where}: unknown key, ignored{hint}")

    def _config(self, given: Mapping[str, Any]) -> Config | None:
        data = {key: value for key, value in given.items() if key != "version"}
        data["storage"] = self._storage(data.get("storage"))
        data["auth"] = self._auth(data.get("auth"))
        log = data.get("log", {})
        if data.get("loglevel") and isinstance(log, dict) and not log.get("level"):
            data["log"] = {**log, "level": data.pop("loglevel")}
        try:
            return Config.model_validate(data)
        except ValidationError as exc:
            renamed = {"log.level": "loglevel"} if "loglevel" in given and "loglevel" not in data else {}
            self._note(exc, "", renamed)
            return None

    def _storage(self, given: object) -> dict[str, Any]:
        if not isinstance(given, dict):
            self.mistakes.append(_no_storage())
            return {}
        common = {key: value for key, value in given.items() if key in _COMMON_STORAGE_KEYS and value is not None}
        chosen = {key: value for key, value in given.items() if key not in _COMMON_STORAGE_KEYS}
        if len(chosen) != 1:
            self.mistakes.append(_several_storages(list(chosen)) if chosen else _no_storage())
            return common
        name, parameters = next(iter(chosen.items()))
        if name not in DRIVERS:
            message = f"StorageDriver not registered: {shown(name)}; there are {', '.join(DRIVERS)}"
            self.mistakes.append(Mistake("storage", message))
            return common
        driver = self._validated(DRIVERS[name], parameters, f"storage.{name}")
        return {**common, "name": name, **({"driver": driver} if driver is not None else {})}

    def _auth(self, given: object) -> Section | None:
        if given is None:
            return None
        if not isinstance(given, dict) or len(given) != 1:
            names = " ".join(shown(name) for name in sorted(given)) if isinstance(given, dict) else ""
            message = f"must provide exactly one type. Provided: [{names}]; there are {', '.join(AUTHS)}"
            self.mistakes.append(Mistake("auth", message))
            return None
        name, parameters = next(iter(given.items()))
        if name not in AUTHS:
            self.mistakes.append(Mistake("auth", f"there is no {shown(name)!r}; there are {', '.join(AUTHS)}"))
            return None
        return self._validated(AUTHS[name], parameters, f"auth.{name}")

    def _validated(self, model: type[Section], parameters: object, path: str) -> Section | None:
        try:
            return model.model_validate({} if parameters is None else parameters)
        except ValidationError as exc:
            self._note(exc, path, {})
            return None

    def _note(self, exc: ValidationError, path: str, renamed: Mapping[str, str]) -> None:
        for found in mistakes_of(exc, path):
            self.mistakes.append(Mistake(renamed.get(found.path, found.path), found.message))


def _no_storage() -> Mistake:
    return Mistake("storage", "no storage configuration provided; name one driver, such as filesystem")


def _several_storages(names: list[str]) -> Mistake:
    message = f"must provide exactly one storage type. Provided: [{' '.join(shown(name) for name in sorted(names))}]"
    strange = [name for name in names if name not in DRIVERS]
    near = [word for name in strange if (word := nearest(name, _COMMON_STORAGE_KEYS))]
    return Mistake("storage", message + (f"; did you mean {near[0]}?" if near else ""))


def _place_of(key: str) -> str:
    """Return the path where a key of this name belongs; empty if that is nowhere, or could be anywhere."""
    found = [
        # Of the drivers' keys of one name, the file system's are meant most often.
        (not node.is_implemented, path.count("."), not path.startswith("storage.filesystem."), path)
        for path, node in _places(_schema(), "")
        if path.rpartition(".")[2] == key.lower()
    ]
    return min(found)[3] if 0 < len(found) <= _HINTED_PLACES else ""


def _places(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    for name, child in (node.children or {}).items():
        where = f"{path}.{name}" if path else name
        yield where, child
        yield from _places(child, where)
