"""Hints at what an unknown key may be meant for, by the schema of the whole file."""

from collections.abc import Iterator

from moorage.config.messages import Place
from moorage.config.schema import Node
from moorage.config.shown_names import nearest


def near_key(schema: Node, place: Place) -> str:
    """Return the hint at an unknown key: one like it beside it, or elsewhere, with its path; else what there is."""
    section, key = place[:-1], str(place[-1]).lower()
    beside = _children(schema, section)
    near = nearest(key, beside)
    if near:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*section, near))
        return f"did you mean {path.lstrip('.')}?"
    places = list(_places(schema, ""))
    name = nearest(key, (known for known, _ in places))
    found = [where for known, where in places if known == name]
    # What is in many places is no hint at where it belongs.
    return f"did you mean {found[0]}?" if len(found) == 1 else f"there are {', '.join(beside)}"


def _children(schema: Node, section: Place) -> dict[str, Node]:
    node: Node | None = schema
    for part in section:
        if node is not None:
            node = node.items if isinstance(part, int) else (node.children or {}).get(part, node.values)
    return (node.children if node is not None else None) or {}


def _places(node: Node, path: str) -> Iterator[tuple[str, str]]:
    for name, child in (node.children or {}).items():
        where = f"{path}.{name}" if path else name
        yield name, where
        yield from _places(child, where)
