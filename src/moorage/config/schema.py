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
from moorage.config.root import Config
from moorage.config.section import WHOLE_WORDS, Section
from moorage.config.sections.auth import AUTHS
from moorage.config.sections.middleware import STORAGE_MIDDLEWARE
from moorage.config.sections.storage import DRIVERS, Storage


@dataclass(frozen=True, slots=True)
class Node:
    """Description of the values that may stand at a key."""

    children: "dict[str, Node] | None" = None
    """The keys of a section; None: no section, or one that takes any key."""
    items: "Node | None" = None
    """For a list: what its items are."""
    values: "Node | None" = None
    """For a mapping with free keys: what its values are."""
    field: FieldInfo | None = None
    default: object = None
    model: type[Section] | None = None
    takes_text: bool = False
    """True if a bare number or truth value is meant as it was written."""
    takes_name: bool = False
    """True if a bare word is the name of a section without keys, as in ``storage: inmemory``."""
    is_free: bool = False
    """True if anything may stand here."""
    is_duration: bool = False
    """True if a length of time is meant."""

    @property
    def is_implemented(self) -> bool:
        """True if it has a function here."""
        return self._extra("implemented") is not False

    @property
    def is_open(self) -> bool:
        """True if it is a mapping that takes any key."""
        return self.values is not None or self.is_free

    @property
    def go_name(self) -> str:
        """The name in Go's struct, where variables go by another one than the file; else empty."""
        return str(self._extra("go_name") or "")

    def _extra(self, name: str) -> object:
        extra = self.field.json_schema_extra if self.field is not None else None
        return extra.get(name) if isinstance(extra, dict) else None


def tree() -> Node:
    """The whole configuration, with drivers and schemes under their own names."""
    root = _node(Config, None)
    children = dict(root.children or {})
    storage = dict(children["storage"].children or {})
    storage |= {name: _node(model, None) for name, model in DRIVERS.items()}
    children["storage"] = Node(children=storage, field=Config.model_fields["storage"], takes_name=True)
    auths = {name: _node(model, None) for name, model in AUTHS.items()}
    children["auth"] = Node(children=auths, field=Config.model_fields["auth"], takes_name=True)
    return Node(children=children)


def tree_of(model: type[Section]) -> Node:
    """The keys of another file than ``config.yml``."""
    return _node(model, None)


def variable_part(key: str) -> str:
    """A key in a variable's name: ``S3_V2``, but ``LOGONLY``, since an underscore separates."""
    return key.upper() if key.upper() in WHOLE_WORDS else key.upper().replace("_", "")


def _node(annotation: Any, field: FieldInfo | None) -> Node:  # noqa: ANN401 - a type, of any kind
    default = _default(field)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        fields = annotation.model_fields
        is_plain = annotation is not Storage
        children = {
            info.alias or name: _node(_bare(info.annotation), info)
            for name, info in fields.items()
            if is_plain or name not in ("driver", "name")
        }
        return Node(children=children, field=field, model=annotation)
    if annotation is object:
        return Node(field=field, default=default, is_free=True)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (list, tuple):
        return Node(items=_node(_bare(arguments[0]), None), field=field, default=default)
    if origin is dict:
        return Node(values=_node(_bare(arguments[1]), None), field=field, default=default)
    is_text = annotation is str or (origin is typing.Literal and all(isinstance(word, str) for word in arguments))
    return Node(field=field, default=default, takes_text=is_text, is_duration=annotation is timedelta)


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
    why_unused: str = ""
    """The reason why the whole section has no function; empty: there is none."""


def describe() -> list[KeyDescription]:
    """Every key of the configuration that holds a value, in the order of the models."""
    return list(_described(tree(), "", implemented=True))


def describe_file(model: type[Section], *, prefix: str) -> list[KeyDescription]:
    """Every key of another file, whose variables begin with *prefix*."""
    return list(_described(tree_of(model), "", implemented=True, prefix=prefix))


def describe_options() -> dict[str, tuple[Node, list[KeyDescription]]]:
    """The options of each storage middleware, by its name: the node of its section, and its keys."""
    found = {}
    for name, model in STORAGE_MIDDLEWARE.items():
        node = _node(model, None)
        found[name] = node, list(_described(node, "middleware.storage[].options", implemented=True))
    return found


def _described(
    node: Node, path: str, *, implemented: bool, prefix: str = "REGISTRY_", why: str = ""
) -> Iterator[KeyDescription]:
    implemented = implemented and node.is_implemented
    why = (node.model.why_unused if node.model is not None else "") or why
    if node.children is not None:
        for name, child in node.children.items():
            where = f"{path}.{name}" if path else name
            yield from _described(child, where, implemented=implemented, prefix=prefix, why=why)
        return
    for below, suffix in ((node.items, "[]"), (node.values, ".<name>")):
        if below is not None and _has_sections(below):
            yield from _described(below, path + suffix, implemented=implemented, prefix=prefix, why=why)
            return
    parts = path.replace("[]", ".0").split(".")
    yield KeyDescription(
        path=path,
        variable=prefix + "_".join(map(variable_part, parts)),
        type=_type_text(node),
        default=_shown_default(node.default),
        description=(node.field.description if node.field is not None else None) or "",
        is_implemented=implemented,
        why_unused=why,
    )


def _has_sections(node: Node) -> bool:
    below = node.items or node.values
    return node.children is not None or (below is not None and _has_sections(below))


def _type_text(node: Node) -> str:
    if node.items is not None:
        return "list"
    if node.values is not None:
        return "mapping"
    annotation = _bare(node.field.annotation) if node.field is not None else str
    if typing.get_origin(annotation) is typing.Literal:
        words = (str(value).lower() if isinstance(value, bool) else value for value in typing.get_args(annotation))
        return " \\| ".join(word or "(empty)" for word in words)
    names = {bool: "true or false", int: "whole number", str: "text", timedelta: "duration", float: "number"}
    return names.get(annotation, "text")


def _shown_default(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, timedelta):
        return format_duration(default)
    return "" if default in (None, "", [], {}) else str(default)
