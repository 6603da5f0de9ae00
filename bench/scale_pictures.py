"""Pictures of how operations grow: for each a bar of every store and size, drawn as those of the comparison are."""

from collections.abc import Sequence
from pathlib import Path

import bars
import scale_control
import scale_folders
from bars import Bar
from scale_works import Measured
from scaling import Scale

_DATABASES = ("SQLite", "PostgreSQL")
_KINDS = {"SQLite": "ours", "PostgreSQL": "other", scale_folders.LINK_FILES: "floor"}
_REGISTRY = {
    "get": "GET of a manifest by tag",
    "push": "push of a manifest",
    "tag-deletion": "deletion of a tag",
    "import": scale_folders.IMPORT,
    "offline-collection": scale_folders.COLLECTION,
}
_LISTS = {"tags": "page of 100 tags", "catalogue": "page of 100 of the catalogue"}
"""Beside what these cost on link files, no bar of a database would be seen."""
_CONTROL = {
    "control-projects": "projects",
    "control-users": "users",
    "control-tokens": "API: personal access tokens",
    "control-audit": "audit log",
}


def shown(scale: Scale, folder: str) -> str:
    """The pictures as the page links to them in *folder*, with what they show as alternative text."""
    lines = [
        f"![{title}: {bars.in_words(found)}]({folder}/{key}.svg)\n" for key, title, found in _pictures(scale) if found
    ]
    return "\n".join(lines)


def write(scale: Scale, folder: Path) -> None:
    """Write the pictures into *folder*, and remove those that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for key, title, found in _pictures(scale):
        if found:
            (folder / f"{key}.svg").write_text(bars.picture(title, found))


def _pictures(scale: Scale) -> list[tuple[str, str, Sequence[Bar]]]:
    stores = {store: store for store in _KINDS}
    databases, files = {store: store for store in _DATABASES}, {scale_folders.LINK_FILES: scale_folders.LINK_FILES}
    registry = [(key, f"{name}, CPU µs", _bars(scale, name, stores)) for key, name in _REGISTRY.items()]
    for key, name in _LISTS.items():
        registry.append((key, f"{name}, CPU µs", _bars(scale, name, databases)))
        registry.append((f"{key}-of-link-files", f"{name} of link files, CPU µs", _bars(scale, name, files)))
    planes = {f"{scale_control.STORE} {store}": store for store in _DATABASES}
    control = [(key, f"control plane, {name}, CPU µs", _bars(scale, name, planes)) for key, name in _CONTROL.items()]
    return [*registry, *control]


def _bars(scale: Scale, operation: str, stores: dict[str, str]) -> list[Bar]:
    """A bar for each size on each of *stores*, which are named by their kinds."""
    found = []
    for store, kind in stores.items():
        for each in scale.sized:
            measured: Measured | None = each.operations.get(operation) if each.store == store else None
            if measured is not None:
                number = f"{measured.cpu_us:,.0f}"
                found.append(Bar(f"{kind} at {each.size:,}", measured.cpu_us, number, _KINDS[kind]))
    return found
