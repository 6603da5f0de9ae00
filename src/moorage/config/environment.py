"""``REGISTRY_*`` variables: which key each one names, and putting its value there.

Source: GitLab ``configuration/parser.go``; features CFP-004 to CFP-010.
"""

import re
from collections.abc import Mapping
from typing import Any

from moorage.config.documents import NotYAML, read_document
from moorage.config.schema import Node, variable_part
from moorage.config.section import WHOLE_WORDS
from moorage.config.shown_names import shown
from moorage.errors import Mistake

PREFIX = "REGISTRY_"
_NOT_KEYS = frozenset({"REGISTRY_CONFIGURATION_PATH", "REGISTRY_AUTH_FILE"})
"""The second is for clients, ours too: the file with their credentials, as podman and skopeo have it."""
_FLAG_PREFIX = "REGISTRY_FF_"
_PART = re.compile(rf"(?:{'|'.join(sorted(WHOLE_WORDS, key=len, reverse=True))})(?=_|$)|[^_]+")
_INDEX = re.compile(r"\d{1,6}", re.ASCII)

_LINK = re.compile(r"(?:tcp|udp|sctp)://\S+|tcp|udp|sctp|[\d.:a-fA-F]+")
"""Values that Kubernetes and Docker write into the variables of a service called registry, or registry-…"""
_LINK_NAME = re.compile(r"_SERVICE_(?:HOST|PORT(?:_\w+)?)\Z|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?\Z")
_LINK_PORT = re.compile(r"(?:tcp|udp|sctp)://\S+")
_PATH_PART = re.compile(r"[^.\[\]]+")
_IN_QUOTES = re.compile(r"""\s*(?:".*"|'.*')\s*""", re.DOTALL)

_Rank = tuple[tuple[bool, int, str], ...]


class Overrides:
    """Puts the values of variables into the mapping that the file gave."""

    def __init__(self, schema: Node, *, prefix: str = PREFIX) -> None:
        """*prefix*: what the variables' names begin with."""
        self._schema = schema
        self._prefix = prefix
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []
        self._sources: dict[tuple[str, ...], tuple[str, str]] = {}

    def apply(self, data: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
        """*data* with the values of *environ*, by the variables' names: the general before the particular."""
        size = len(self._prefix)
        names = [name for name in environ if name[:size].upper() == self._prefix and not _is_no_key(name.upper())]
        links = [name for name in names if _is_link(name.upper(), environ[name])]
        names = [name for name in names if name not in links]
        if links:
            self.warnings.append(
                f"ignoring {', '.join(map(shown, sorted(links)))}: Kubernetes and Docker set such variables "
                "for a service of that name; enableServiceLinks: false in the pod leaves them out"
            )
        for name in sorted(names, key=lambda name: _rank(name, size)):
            parts = split(name[size:])
            where = _path(self._schema, parts)
            if where is None:
                self.warnings.append(f"ignoring unrecognized environment variable {shown(name)}")
                continue
            self._note_source(where, name, environ)
            try:
                value = read_document(environ[name])
                data = self._with(data, self._schema, parts, value=value)
            except NotYAML as exc:
                self.mistakes.append(Mistake(shown(name), f"the value is not YAML: {exc}; does it need quotes?"))
            except IndexError as exc:
                self.mistakes.append(Mistake(shown(name), str(exc)))
        return data

    def named(self, mistake: Mistake) -> Mistake:
        """*mistake*, with the variable that its value came from, if it did."""
        parts = _PATH_PART.findall(mistake.path)
        for length in range(len(parts), 0, -1):
            source = self._sources.get(tuple(parts[:length]))
            if source is not None:
                name, value = source
                hint = "; its quotes are part of the value: leave them out" if _IN_QUOTES.fullmatch(value) else ""
                return Mistake(mistake.path, f"{mistake.message}; the value is that of {shown(name)}{hint}")
        return mistake

    def _note_source(self, where: tuple[str, ...], name: str, environ: Mapping[str, str]) -> None:
        other = self._sources.get(where)
        if other is not None and other[1] != environ[name]:
            message = f"sets the same key as {shown(other[0])}, to another value; take one of the two out"
            self.mistakes.append(Mistake(shown(name), message))
        self._sources[where] = name, environ[name]

    def _with(self, given: Any, node: Node, parts: list[str], *, value: object) -> Any:  # noqa: ANN401 - YAML's values
        """A copy of *given* with *value* where *parts* lead. An alias may stand elsewhere too: nothing is changed."""
        if not parts:
            return value
        if given is None:
            given = [] if node.items is not None else {}
        elif isinstance(given, str) and node.takes_name:
            given = {given: {}}
        if node.items is not None and isinstance(given, list):
            index = int(parts[0])
            if index > len(given):
                msg = f"there are {len(given)} items before it; the next one is number {len(given)}"
                raise IndexError(msg)
            item = given[index] if index < len(given) else None
            return [*given[:index], self._with(item, node.items, parts[1:], value=value), *given[index + 1 :]]
        found = _child(node, parts[0])
        if found is None or not isinstance(given, dict):
            return given  # Not what belongs here: a mistake that is found with the others.
        key, child = found
        key = next((there for there in given if str(there).upper() == key.upper()), key) if node.is_open else key
        return {**given, key: self._with(given.get(key), child, parts[1:], value=value)}


def split(text: str) -> list[str]:
    """The parts of a variable's name: ``STORAGE_S3_V2_BUCKET`` is storage, s3_v2, bucket; none if one is empty."""
    parts: list[str] = _PART.findall(text.upper())
    return parts if "_".join(parts) == text.upper() else []


def _is_link(name: str, value: str) -> bool:
    if name.endswith("_PORT") and _LINK_PORT.fullmatch(value):
        return True
    return _LINK_NAME.search(name) is not None and _LINK.fullmatch(value) is not None


def _is_no_key(name: str) -> bool:
    return name in _NOT_KEYS or name.startswith(_FLAG_PREFIX)


def _rank(name: str, size: int) -> tuple[_Rank, str]:
    """The order of names, with the indexes of lists as numbers: item 10 comes after item 9; *size*: the prefix's."""
    parts = split(name[size:])
    return tuple((False, int(part), "") if _INDEX.fullmatch(part) else (True, 0, part) for part in parts), name


def _path(node: Node, parts: list[str]) -> tuple[str, ...] | None:
    """The keys that *parts* lead to; None if that is nowhere."""
    path: list[str] = []
    for part in parts:
        if node.items is not None:
            if not _INDEX.fullmatch(part):
                return None
            node = node.items
            path.append(str(int(part)))
            continue
        found = _child(node, part)
        if found is None:
            return None
        path.append(found[0])
        node = found[1]
    return tuple(path) or None


def _child(node: Node, part: str) -> tuple[str, Node] | None:
    if node.is_free:
        return part.lower(), node
    if node.values is not None:
        return part.lower(), node.values
    for key, child in (node.children or {}).items():
        if part in (key.upper(), variable_part(key), child.go_name.upper()):
            return key, child
    return None
