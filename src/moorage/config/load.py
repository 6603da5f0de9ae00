"""Reading a configuration: file and environment in, models out, with every mistake and warning there is."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from moorage.config.environment import Overrides
from moorage.config.features import AUTHS
from moorage.config.root import Config
from moorage.config.schema import Node, tree
from moorage.config.section import Section
from moorage.config.storage import DRIVERS, FilesystemDriver
from moorage.errors import ConfigurationError, Mistake

_STORAGE_KEYS = frozenset({"maintenance", "cache", "delete", "redirect", "tag"})
_PURGING_KEYS = ("enabled", "age", "interval", "dryrun")
_MESSAGES = {
    "missing": "is needed",
    "list_type": "a list is needed",
    "dict_type": "a mapping is needed",
    "model_type": "a mapping is needed",
    "model_attributes_type": "a mapping is needed",
    "string_type": "text is needed",
    "string_too_short": "must not be empty",
}


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
    text = {"formatter": "text", "accesslog": {"formatter": "text"}}
    storage = {"driver": FilesystemDriver(rootdirectory=root_directory), "delete": {"enabled": True}}
    return Config.model_validate({"log": text, "http": {"addr": addr, "draintimeout": "5s"}, "storage": storage})


@cache
def _schema() -> Node:
    return tree()


class _Reading:
    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []
        self.unknown: list[str] = []

    def read(self, text: str, environ: Mapping[str, str]) -> Loaded:
        try:
            data = self._mapping(text)
            overrides = Overrides(_schema())
            overrides.apply(data, environ)
            self.mistakes += overrides.mistakes
            self.warnings += overrides.warnings
            given = self._known(data, _schema(), "")
        except RecursionError:
            raise ConfigurationError([Mistake("", "the file is nested too deep, or refers to itself")]) from None
        config = self._config(given)
        if self.mistakes or config is None:
            raise ConfigurationError(self.mistakes)
        missing = tuple(dict.fromkeys(_not_implemented(given, _schema(), "")))
        return Loaded(config, tuple(self.warnings), missing, tuple(self.unknown))

    def _mapping(self, text: str) -> dict[str, Any]:
        try:
            data = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError) as exc:
            mark = getattr(exc, "problem_mark", None)
            where = f"line {mark.line + 1}" if mark is not None else ""
            message = f"not YAML: {getattr(exc, 'problem', None) or 'it cannot be read'}"
            raise ConfigurationError([Mistake(where, message)]) from None
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise ConfigurationError([Mistake("", "the file must be a mapping of keys, such as version: 0.1")])
        return {str(key): value for key, value in data.items()}

    def _known(self, data: Mapping[str, Any], node: Node, path: str) -> dict[str, Any]:
        """The part of *data* that has known keys; keys that are given empty are left out, for their defaults."""
        known: dict[str, Any] = {}
        for raw, value in data.items():
            key = str(raw)
            where = f"{path}.{key}" if path else key
            child = node.values if node.children is None else node.children.get(key)
            if child is None:
                self._note_unknown(where, key, node, path)
            elif value is not None or path in ("storage", "auth"):
                known[key] = self._known_value(value, child, where)
        return known

    def _known_value(self, value: object, node: Node, where: str) -> object:
        if isinstance(value, dict) and (node.children is not None or node.values is not None):
            return self._known(value, node, where)
        if isinstance(value, list) and node.items is not None:
            return [self._known_value(item, node.items, f"{where}[{i}]") for i, item in enumerate(value)]
        if where == "version":
            return str(value)
        return value

    def _note_unknown(self, where: str, key: str, node: Node, path: str) -> None:
        if path in ("storage", "auth"):
            return  # A driver or scheme that there is not: a mistake, found where one is chosen.
        self.unknown.append(where)
        near = difflib.get_close_matches(key, node.children or {}, n=1)
        hint = f"; did you mean {path}.{near[0]}?".replace(" .", " ") if near else ""
        self.warnings.append(f"{where}: unknown key, ignored{hint}")

    def _config(self, given: Mapping[str, Any]) -> Config | None:
        data = dict(given)
        self._check_version(data)
        data["storage"] = self._storage(data.get("storage"))
        data["auth"] = self._auth(data.get("auth"))
        log = data.get("log")
        if data.get("loglevel") and (log is None or isinstance(log, dict)) and not (log or {}).get("level"):
            data["log"] = {**(log or {}), "level": data["loglevel"]}
        try:
            return Config.model_validate(data)
        except ValidationError as exc:
            self._note(exc, "")
            return None

    def _check_version(self, data: dict[str, Any]) -> None:
        version = data.pop("version", None)
        if version is None:
            self.mistakes.append(Mistake("version", "is needed; write version: 0.1"))
        elif version.split(".")[:2] != ["0", "1"]:
            self.mistakes.append(Mistake("version", "unsupported version; the only one is 0.1"))

    def _storage(self, given: object) -> dict[str, Any]:
        if isinstance(given, str):
            given = {given: {}}
        if not isinstance(given, dict):
            self.mistakes.append(Mistake("storage", "no storage configuration provided"))
            return {}
        common = {key: value for key, value in given.items() if key in _STORAGE_KEYS and value is not None}
        chosen = {key: value for key, value in given.items() if key not in _STORAGE_KEYS}
        self._check_maintenance(common.get("maintenance"))
        if len(chosen) != 1:
            message = (
                f"must provide exactly one storage type. Provided: [{' '.join(sorted(chosen))}]"
                if chosen
                else "no storage configuration provided"
            )
            self.mistakes.append(Mistake("storage", message))
            return common
        name, parameters = next(iter(chosen.items()))
        if name not in DRIVERS:
            message = f"StorageDriver not registered: {name[:40]}; there are {', '.join(DRIVERS)}"
            self.mistakes.append(Mistake("storage", message))
            return common
        driver = self._validated(DRIVERS[name], parameters, f"storage.{name}")
        return {**common, "name": name, **({"driver": driver} if driver is not None else {})}

    def _check_maintenance(self, given: object) -> None:
        if not isinstance(given, dict):
            return
        purging, readonly = given.get("uploadpurging"), given.get("readonly")
        if isinstance(purging, dict):
            for key in _PURGING_KEYS:
                if key not in purging:
                    where = f"storage.maintenance.uploadpurging.{key}"
                    self.mistakes.append(Mistake(where, "is needed if uploadpurging is given"))
        if isinstance(readonly, dict) and "enabled" not in readonly:
            self.mistakes.append(Mistake("storage.maintenance.readonly.enabled", "true or false is needed"))

    def _auth(self, given: object) -> Section | None:
        if isinstance(given, str):
            given = {given: {}}
        if given is None:
            return None
        if not isinstance(given, dict) or len(given) != 1:
            shown = " ".join(sorted(given)) if isinstance(given, dict) else ""
            self.mistakes.append(Mistake("auth", f"must provide exactly one type. Provided: [{shown}]"))
            return None
        name, parameters = next(iter(given.items()))
        if name not in AUTHS:
            self.mistakes.append(Mistake("auth", f"there is no {name[:40]!r}; there are {', '.join(AUTHS)}"))
            return None
        return self._validated(AUTHS[name], parameters, f"auth.{name}")

    def _validated(self, model: type[Section], parameters: object, path: str) -> Section | None:
        try:
            return model.model_validate({} if parameters is None else parameters)
        except ValidationError as exc:
            self._note(exc, path)
            return None

    def _note(self, exc: ValidationError, path: str) -> None:
        for error in exc.errors(include_url=False, include_context=True, include_input=False):
            self.mistakes.append(Mistake(_path(path, error["loc"]), _message(error)))


def _path(prefix: str, parts: tuple[int | str, ...]) -> str:
    text = prefix
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _message(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error.get("ctx", {}).get("error", "is wrong"))
    return _MESSAGES.get(error["type"]) or error["msg"].replace("Input should", "should")


def _not_implemented(data: Mapping[str, Any], node: Node, path: str) -> Iterator[str]:
    """The outermost keys that were given, with a value that does something, and whose feature does not exist yet."""
    for key, value in data.items():
        child = (node.children or {}).get(key)
        if child is None:
            continue
        where = f"{path}.{key}" if path else key
        if not child.is_implemented:
            if _does_something(value, child, where):
                yield where
        elif isinstance(value, dict) and child.children is not None:
            yield from _not_implemented(value, child, where)


def _does_something(value: object, node: Node, path: str) -> bool:
    if node.model is not None and not node.model.is_implemented:
        return True
    if isinstance(value, dict) and node.children is not None:
        if "enabled" in node.children and not value.get("enabled") and path != "redis":
            return False
        return any(
            _does_something(item, node.children[key], f"{path}.{key}")
            for key, item in value.items()
            if key in node.children
        )
    return value not in (None, "", [], {}) and value != node.default
