"""Lengths of time without a unit: Go's registries take them for nanoseconds, and hardly anybody means that."""

from collections.abc import Iterator, Mapping
from typing import Any

from moorage.config.schema import Node
from moorage.config.shown_names import shown

_MILLISECOND_NS = 10**6


def bare_durations(data: Mapping[str, Any], node: Node, path: str = "") -> Iterator[str]:
    """Yield a warning for each length of time that is given as a number and comes to less than a millisecond.

    It is used as it is, as in other registries. What is negative has a meaning of its own, as in ``gc.reviewafter``.

    Source: GitLab features CFP-011; its guide's example of notifications has ``timeout: 500`` and ``backoff: 1000``.
    """
    for key, value in data.items():
        child = (node.children or {}).get(key) or node.values
        if child is not None:
            yield from _bare_value(value, child, f"{path}.{shown(key)}" if path else shown(key))


def _bare_value(value: object, node: Node, where: str) -> Iterator[str]:
    if node.is_duration and isinstance(value, int) and 0 < value < _MILLISECOND_NS:
        yield f"{where}: {value} without a unit is {value} nanoseconds; write {value}ms or {value}s"
    elif isinstance(value, dict):
        yield from bare_durations(value, node, where)
    elif isinstance(value, list) and node.items is not None:
        for i, item in enumerate(value):
            yield from _bare_value(item, node.items, f"{where}[{i}]")
