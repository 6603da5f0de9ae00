"""``REGISTRY_*`` variables: which key each one names, and putting its value there.

Source: GitLab ``configuration/parser.go``; features CFP-004 to CFP-010.
"""

import re
from collections.abc import Mapping
from typing import Any

from moorage.config.documents import NotYAML, read_document
from moorage.config.schema import Node, shown, variable_part
from moorage.config.section import WHOLE_WORDS
from moorage.errors import Mistake

PREFIX = "REGISTRY_"
_NOT_KEYS = frozenset({"REGISTRY_CONFIGURATION_PATH"})
_FLAG_PREFIX = "REGISTRY_FF_"
_PART = re.compile(rf"(?:{'|'.join(sorted(WHOLE_WORDS, key=len, reverse=True))})(?=_|$)|[^_]+")
_INDEX = re.compile(r"\d{1,6}", re.ASCII)

_Rank = tuple[tuple[bool, int, str], ...]


class Overrides:
    """Puts the values of variables into the mapping that the file gave."""

    def __init__(self, schema: Node) -> None:
        self._schema = schema
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []

    def apply(self, data: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
        """*data* with the values of *environ*, by the variables' names: the general before the particular."""
        names = [name for name in environ if name[: len(PREFIX)].upper() == PREFIX and not _is_no_key(name.upper())]
        for name in sorted(names, key=_rank):
            parts = split(name[len(PREFIX) :])
            if not _leads_somewhere(self._schema, parts):
                self.warnings.append(f"ignoring unrecognized environment variable {shown(name)}")
                continue
            try:
                value = read_document(environ[name])
                data = self._with(data, self._schema, parts, value=value)
            except NotYAML as exc:
                self.mistakes.append(Mistake(shown(name), f"the value is not YAML: {exc}; does it need quotes?"))
            except IndexError as exc:
                self.mistakes.append(Mistake(shown(name), str(exc)))
        return data

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


def _is_no_key(name: str) -> bool:
    return name in _NOT_KEYS or name.startswith(_FLAG_PREFIX)


def _rank(name: str) -> tuple[_Rank, str]:
    """The order of names, with the indexes of lists as numbers: item 10 comes after item 9."""
    parts = split(name[len(PREFIX) :])
    return tuple((False, int(part), "") if _INDEX.fullmatch(part) else (True, 0, part) for part in parts), name


def _leads_somewhere(node: Node, parts: list[str]) -> bool:
    if not parts:
        return False
    for part in parts:
        if node.items is not None:
            if not _INDEX.fullmatch(part):
                return False
            node = node.items
            continue
        found = _child(node, part)
        if found is None:
            return False
        node = found[1]
    return True


def _child(node: Node, part: str) -> tuple[str, Node] | None:
    if node.is_free:
        return part.lower(), node
    if node.values is not None:
        return part.lower(), node.values
    for key, child in (node.children or {}).items():
        if part in (key.upper(), variable_part(key), child.go_name.upper()):
            return key, child
    return None
