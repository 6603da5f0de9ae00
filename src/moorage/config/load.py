"""Reading a configuration: file and environment in, models out, with every mistake and warning there is."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from moorage.config.activity import not_implemented
from moorage.config.checks import after, before
from moorage.config.documents import NotYAML, Written, plain, read_document
from moorage.config.environment import Overrides
from moorage.config.features import AUTHS
from moorage.config.messages import mistakes_of
from moorage.config.realms import realm_warnings
from moorage.config.root import Config
from moorage.config.schema import Node, shown, tree
from moorage.config.section import Section
from moorage.config.storage import DRIVERS, FilesystemDriver, Storage
from moorage.errors import ConfigurationError, Mistake

SQLITE_NAME = "moorage.db"
"""The database's file in the storage folder, where nothing was configured."""

_COMMON_STORAGE_KEYS = frozenset(Storage.model_fields) - {"driver", "name"}
_NULL_MATTERS = frozenset({"storage", "storage.maintenance", "auth"})
"""Sections below which an empty key says something."""
_NEAR = 0.7
"""How much alike two words are if one may be meant by the other."""
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


def load(text: str, environ: Mapping[str, str]) -> Loaded:
    """Read the text of a ``config.yml``, with ``REGISTRY_*`` variables over it.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    return _Reading().read(text, environ)


def defaults(root_directory: str, addr: str) -> Config:
    """What ``moorage serve`` uses without a file."""
    given = {
        "log": {"formatter": "text", "accesslog": {"formatter": "text"}},
        "http": {"addr": addr, "draintimeout": "5s"},
        "storage": {"driver": FilesystemDriver(rootdirectory=root_directory), "delete": {"enabled": True}},
        "database": {
            "enabled": "prefer",
            "sqlite": str(PurePath(root_directory, SQLITE_NAME)),
            # Nobody has to know of them where there is one file and one machine.
            "backgroundmigrations": {"enabled": True},
        },
    }
    return Config.model_validate(given)


@cache
def _schema() -> Node:
    return tree()


class _Reading:
    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []
        self.unknown: list[str] = []

    def read(self, text: str, environ: Mapping[str, str]) -> Loaded:
        overrides = Overrides(_schema())
        data = overrides.apply(self._mapping(text), environ)
        self.mistakes += overrides.mistakes
        self.warnings += overrides.warnings
        given = self._known(data, _schema(), "")
        self.mistakes += before(given)
        config = self._config(given)
        if config is not None:
            self.mistakes += after(config)
        if self.mistakes or config is None:
            raise ConfigurationError(self.mistakes)
        self.warnings += realm_warnings(config)
        missing = tuple(dict.fromkeys(not_implemented(given, _schema())))
        return Loaded(config, tuple(self.warnings), missing, tuple(self.unknown))

    def _mapping(self, text: str) -> dict[str, Any]:
        try:
            data = read_document(text)
        except NotYAML as exc:
            where = f"line {exc.line}" if exc.line is not None else ""
            raise ConfigurationError([Mistake(where, f"not YAML: {exc}")]) from None
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise ConfigurationError([Mistake("", "the file must be a mapping of keys, such as version: 0.1")])
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
                self._note_unknown(where, key, node, path)
        return known

    def _known_value(self, value: object, node: Node, where: str) -> object:
        if isinstance(value, str) and node.takes_name:
            value = {value: {}}
        if isinstance(value, dict) and (node.children is not None or node.values is not None):
            return self._known(value, node, where)
        if isinstance(value, list) and node.items is not None:
            return [self._known_value(item, node.items, f"{where}[{i}]") for i, item in enumerate(value)]
        takes_text = node.takes_text or (node.items is not None and node.items.takes_text)
        if takes_text and isinstance(value, Written):
            return value.text
        return plain(value)

    def _note_unknown(self, where: str, key: str, node: Node, path: str) -> None:
        self.unknown.append(where)
        near = difflib.get_close_matches(key.lower(), node.children or {}, n=1, cutoff=_NEAR)
        place = (f"{path}.{near[0]}" if path else near[0]) if near else _place_of(key)
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
    near = [word for name in strange for word in difflib.get_close_matches(name, _COMMON_STORAGE_KEYS, n=1)]
    return Mistake("storage", message + (f"; did you mean {near[0]}?" if near else ""))


def _place_of(key: str) -> str:
    """Where a key of this name belongs; empty if that is nowhere, or could be anywhere."""
    places = [(not node.is_implemented, path.count("."), path) for path, node in _places(_schema(), "")]
    found = [place for place in places if place[2].rpartition(".")[2] == key.lower()]
    return min(found)[2] if 0 < len(found) <= _HINTED_PLACES else ""


def _places(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    for name, child in (node.children or {}).items():
        where = f"{path}.{name}" if path else name
        yield where, child
        yield from _places(child, where)
