"""Texts that a room of the control plane says to people, read from its code and templates, and their German ones."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation.template import templatize

_CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}
_IN_TEMPLATES = re.compile(r"gettext(?:_noop)?\(\s*u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")


def texts_of(room: Path) -> set[str]:
    """All texts of *room*; of those with a plural, the singular."""
    return {*_said_in_code(room), *_said_in_templates(room)}


def german_texts(*rooms: Path) -> dict[str, str]:
    """The German texts of the catalogues of *rooms*, by the English ones."""
    found: dict[str, str] = {}
    for room in rooms:
        with (room / "locale/de/LC_MESSAGES/django.mo").open("rb") as file:
            catalogue = vars(gettext.GNUTranslations(file))["_catalog"]
        found |= {key[0] if isinstance(key, tuple) else key: value for key, value in catalogue.items()}
    return found


def _said_in_code(room: Path) -> Iterator[str]:
    for path in room.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value)


def _said_in_templates(room: Path) -> Iterator[str]:
    for path in (room / "templates").rglob("*.html"):
        for found in _IN_TEMPLATES.findall(templatize(path.read_text(), origin=str(path))):
            yield ast.literal_eval(found)
