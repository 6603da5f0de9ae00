"""Given keys that ask for something that has no function here."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from moorage.config.durations import parse_duration
from moorage.config.schema import Node

_SWITCHED_OFF = (None, False, "false")
_NO_SWITCH = frozenset({"redis"})
"""Sections whose ``enabled`` is not their switch: the main Redis is used if it has an address."""
_SUBJECTS = {"proxy": "remoteurl"}
"""Keys without which the rest of their section is about nothing."""
_WITHOUT_EFFECT = frozenset({"http.http2"})
"""Keys that can only switch something off: HTTP/2 is never spoken anyway."""


def not_implemented(data: Mapping[str, Any], node: Node, path: str = "") -> Iterator[str]:
    """The outermost keys that were given, with a value that does something, and that have no function here."""
    for key, value in data.items():
        child = (node.children or {}).get(key)
        if child is None:
            continue
        where = f"{path}.{key}" if path else key
        if not child.is_implemented:
            if _does_something(value, child, where):
                yield where
        elif isinstance(value, dict) and child.children is not None and not _is_off(value, child, where):
            yield from not_implemented(value, child, where)


def _does_something(value: object, node: Node, path: str) -> bool:
    if path in _WITHOUT_EFFECT:
        return False
    if isinstance(value, dict) and node.children is not None:
        subject = _SUBJECTS.get(path)
        return not _is_off(value, node, path) and any(
            _does_something(item, node.children[key], f"{path}.{key}")
            for key, item in value.items()
            if subject in (None, key)
        )
    if isinstance(value, dict) and node.values is not None:
        return any(_does_something(item, node.values, f"{path}.{key}") for key, item in value.items())
    if isinstance(value, list) and node.items is not None:
        return any(_does_something(item, node.items, f"{path}[]") for item in value)
    return value not in (None, "", [], {}) and not _is_default(value, node.default)


def _is_off(value: Mapping[str, Any], node: Node, path: str) -> bool:
    children = node.children or {}
    if "enabled" in children and path not in _NO_SWITCH and value.get("enabled") in _SWITCHED_OFF:
        return True
    return "disabled" in children and value.get("disabled") is True


def _is_default(value: object, default: object) -> bool:
    # 1h and 60m are the same, and drivers take text for a number. What is no duration was found before.
    if isinstance(default, timedelta):
        return parse_duration(value) == default
    return value == default or (isinstance(value, str) and value.lower() == str(default).lower())
