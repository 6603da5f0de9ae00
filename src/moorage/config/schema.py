"""The keys of the configuration, read off the models: which there are, and what each takes."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from moorage.config.durations import format_duration
from moorage.config.features import AUTHS
from moorage.config.root import Config
from moorage.config.section import Section
from moorage.config.storage import DRIVERS, Storage


@dataclass(frozen=True, slots=True)
class Node:
    """What may stand at a key."""

    children: "dict[str, Node] | None" = None
    """The keys of a section; None: no section, or one that takes any key."""
    items: "Node | None" = None
    """For a list: what its items are."""
    values: "Node | None" = None
    """For a mapping with free keys: what its values are."""
    field: FieldInfo | None = None
    default: object = None
    model: type[Section] | None = None

    @property
    def is_implemented(self) -> bool:
        """Whether the feature exists."""
        if self.model is not None and not self.model.is_implemented:
            return False
        extra = self.field.json_schema_extra if self.field is not None else None
        return not isinstance(extra, dict) or extra.get("implemented") is not False


def tree() -> Node:
    """The whole configuration, with drivers and schemes under their own names."""
    root = _node(Config, None)
    children = dict(root.children or {})
    storage = dict(children["storage"].children or {})
    del storage["driver"], storage["name"]
    storage |= {name: _node(model, None) for name, model in DRIVERS.items()}
    children["storage"] = Node(children=storage, field=Config.model_fields["storage"])
    auths = {name: _node(model, None) for name, model in AUTHS.items()}
    children["auth"] = Node(children=auths, field=Config.model_fields["auth"])
    return Node(children=children)


def _node(annotation: Any, field: FieldInfo | None) -> Node:  # noqa: ANN401 - a type, of any kind
    default = _default(field)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        fields = annotation.model_fields
        children = {name: _node(_bare(info.annotation), info) for name, info in fields.items() if name != "driver"}
        if annotation is Storage:
            children["driver"] = Node()
        return Node(children=children, field=field, model=annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return Node(items=_node(_bare(arguments[0]), None), field=field, default=default)
    if origin is dict:
        return Node(values=_node(_bare(arguments[1]), None), field=field, default=default)
    return Node(field=field, default=default)


def _bare(annotation: Any) -> Any:  # noqa: ANN401 - a type, of any kind
    """An annotation without what is annotated to it, and without None."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _bare(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        if len(options) == 1:
            return _bare(options[0])
    return annotation


def _default(field: FieldInfo | None) -> object:
    if field is None or field.default is PydanticUndefined or field.default is ...:
        return None
    return cast("object", field.default)


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """One key, for the reference page."""

    path: str
    variable: str
    type: str
    default: str
    description: str
    is_implemented: bool


def describe() -> list[KeyDescription]:
    """Every key of the configuration that holds a value, in the order of the models."""
    return list(_described(tree(), "", implemented=True))


def _described(node: Node, path: str, *, implemented: bool) -> Iterator[KeyDescription]:
    implemented = implemented and node.is_implemented
    if node.children is not None:
        for name, child in node.children.items():
            yield from _described(child, f"{path}.{name}" if path else name, implemented=implemented)
        return
    for below, suffix in ((node.items, "[]"), (node.values, ".<name>")):
        if below is not None and below.children is not None:
            yield from _described(below, path + suffix, implemented=implemented)
            return
    yield KeyDescription(
        path=path,
        variable="REGISTRY_"
        + path.replace(".", "_").replace("[]", "_0").upper().replace("RATE_LIMITER", "RATELIMITER"),
        type=_type_text(node),
        default=_shown(node.default),
        description=(node.field.description if node.field is not None else None) or "",
        is_implemented=implemented,
    )


def _type_text(node: Node) -> str:
    if node.items is not None:
        return "list"
    if node.values is not None:
        return "mapping"
    annotation = _bare(node.field.annotation) if node.field is not None else str
    if typing.get_origin(annotation) is typing.Literal:
        return " \\| ".join(str(value) or "(empty)" for value in typing.get_args(annotation))
    names = {bool: "true or false", int: "whole number", str: "text", timedelta: "duration", float: "number"}
    return names.get(annotation, "text")


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, timedelta):
        return format_duration(default)
    return "" if default in (None, "", [], {}) else str(default)
