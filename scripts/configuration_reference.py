"""Pages of the keys of ``config.yml`` and ``control.yml``."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from reference_text import Row, page, sentence, table

from moorage import config
from moorage.config.schema import Node, describe_file, describe_options, tree, tree_of
from moorage.control.configuration import VARIABLE_PREFIX, ControlConfiguration

_SCHEMA = tree()


def configuration_page() -> str:
    """Every key of ``config.yml``."""
    lines = [
        "# Configuration",
        "",
        "The keys of `config.yml`, which is a file as Distribution and the GitLab registry read it.",
        "[Configure](../how-to/configure.md) says how to use and to check it.",
        "",
        "A key **without function** is accepted, so that an existing file can be used as it is; if it asks for",
        "something, a warning at the start names it.",
        "`version` always has to be given, everything else may be left out, except what is marked as needed.",
        "In a variable's name `_0` stands for the first item of a list, and `<NAME>` for a name of your choice.",
        "`auth: none` and `storage: inmemory` have no keys of their own; without `storage` nothing starts.",
    ]
    sections: dict[str, list[config.KeyDescription]] = {}
    for key in config.describe():
        sections.setdefault(key.path.rpartition(".")[0] or "At the top", []).append(key)
    for section, keys in sections.items():
        is_there = any(key.is_implemented for key in keys)
        unused = f"**Without function.** {sentence(keys[0].why_unused)}".strip()
        lines += ["", f"## {section}", "", *([] if is_there else [unused, ""])]
        head = ("key, and its variable", "type", "default", "what it is")
        lines += table(head, (_key_row(key, *_limits(key.path), mark=is_there) for key in keys))
        if section == "middleware.<name>[]":
            lines += _options_of_middleware(head)
    return page(lines)


def control_page() -> str:
    """Every key of ``control.yml``."""
    lines = [
        "# Configuration of the control plane",
        "",
        "The keys of `control.yml`: GitLab's for the registry, and Moorage's.",
        "`moorage control check FILE` says every mistake in one, and a key that is not here is a mistake.",
        "A variable wins over the file.",
        "Paths are relative to the file's folder.",
    ]
    schema = tree_of(ControlConfiguration)
    sections: dict[str, list[config.KeyDescription]] = {}
    for key in describe_file(ControlConfiguration, prefix=VARIABLE_PREFIX):
        sections.setdefault(key.path.rpartition(".")[0] or "At the top", []).append(key)
    for section, keys in sections.items():
        lines += ["", f"## {section}", ""]
        head = ("key, and its variable", "type", "default", "what it is")
        lines += table(head, (_key_row(key, *_limits(key.path, schema), mark=True) for key in keys))
    return page(lines)


def _options_of_middleware(head: Row) -> Iterator[str]:
    for name, (node, keys) in describe_options().items():
        yield from ("", f"### Options of `{name}`", "")
        assert node.children is not None and node.model is not None  # noqa: S101, PT018 - it is a section
        yield from (sentence((node.model.__doc__ or "").partition(": ")[2]), "")
        limits = [_limits_of(child) for child in node.children.values()]
        yield from table(head, (_key_row(key, *limit, mark=True) for key, limit in zip(keys, limits, strict=True)))


def _key_row(key: config.KeyDescription, bounds: str, is_needed: bool, *, mark: bool) -> Row:  # noqa: FBT001 - of `_limits`
    missing = "**Without function.** " if mark and not key.is_implemented else ""
    default = "(needed)" if is_needed else f"`{key.default}`" if key.default else ""
    about = " ".join(filter(None, [sentence(key.description), bounds]))
    return f"`{key.path}`<br>`{key.variable}`", key.type, default, missing + about


def _limits(path: str, schema: Node = _SCHEMA) -> tuple[str, bool]:
    """What a key's value must keep to, in words, and whether there has to be one."""
    node = schema
    for part in path.replace("[]", ".[]").split("."):
        below = {"[]": node.items, "<name>": node.values}.get(part) or (node.children or {}).get(part)
        assert below is not None, path  # noqa: S101 - describe() and tree() tell of the same keys
        node = below
    return _limits_of(node)


def _limits_of(node: Node) -> tuple[str, bool]:
    if node.field is None:
        return "", False
    words = [f"{word} {_number(limit)}" for word, limit in _constraints(node.field.metadata)]
    return f"{', '.join(words).capitalize()}." if words else "", node.field.is_required()


def _constraints(metadata: Iterable[object]) -> Iterator[tuple[str, object]]:
    """The bounds among what pydantic knows of a field."""
    for name, word in (("gt", "more than"), ("ge", "at least"), ("le", "at most"), ("multiple_of", "a multiple of")):
        for item in metadata:
            limit = getattr(item, name, None)
            if limit is not None:
                yield word, limit


def _number(limit: object) -> str:
    return config.format_duration(limit) if isinstance(limit, timedelta) else str(limit)
