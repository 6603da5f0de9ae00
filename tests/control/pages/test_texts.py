"""The texts of the pages: each has its German one, with the same placeholders."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

from django.test import Client
from django.utils.translation.template import templatize

from moorage.control import pages
from support.control_rows import new_user

ROOM = Path(pages.__file__).parent
CATALOGUE = ROOM / "locale/de/LC_MESSAGES/django.mo"
CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}
_IN_TEMPLATES = re.compile(r"gettext(?:_noop)?\(\s*u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_PLACES = re.compile(r"%\(\w+\)s|%[sd]")


def said_in_code() -> Iterator[str]:
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value)


def said_in_templates() -> Iterator[str]:
    for path in (ROOM / "templates").rglob("*.html"):
        for found in _IN_TEMPLATES.findall(templatize(path.read_text(), origin=str(path))):
            yield ast.literal_eval(found)


def test_every_text_of_the_pages_is_there_in_german_with_the_same_places() -> None:
    with CATALOGUE.open("rb") as file:
        german = gettext.GNUTranslations(file)
    texts = {*said_in_code(), *said_in_templates()}
    assert len(texts) > 300
    catalogue = vars(german)["_catalog"]
    known = {key[0] if isinstance(key, tuple) else key: value for key, value in catalogue.items()}
    assert sorted(text for text in texts if not known.get(text)) == []
    assert [text for text in texts if sorted(_PLACES.findall(text)) != sorted(_PLACES.findall(known[text]))] == []


def test_a_page_is_german_for_a_reader_of_german(client: Client) -> None:
    client.force_login(new_user())
    text = client.get("/", headers={"Accept-Language": "de-AT,de;q=0.9"}).content.decode()
    assert "Ihre Projekte" in text
    assert "Your projects" not in text
    assert "Ihre Projekte" not in client.get("/", headers={"Accept-Language": "en"}).content.decode()
