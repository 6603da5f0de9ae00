"""The texts of the pages: each has its German one, with the same placeholders."""

import re
from pathlib import Path

import pytest
from django.test import Client

from moorage.control import accounts, pages, sign_in
from support.control_rows import new_user
from support.page_texts import german_texts, texts_of

PAGES, SIGN_IN, ACCOUNTS = (Path(room.__path__[0]) for room in (pages, sign_in, accounts))
_PLACES = re.compile(r"%\(\w+\)s|%[sd]")


@pytest.mark.parametrize(("rooms", "many"), [([PAGES], 300), ([SIGN_IN, ACCOUNTS], 100)], ids=["pages", "sign-in"])
def test_every_text_of_the_pages_is_there_in_german_with_the_same_places(rooms: list[Path], many: int) -> None:
    texts = {text for room in rooms for text in texts_of(room)}
    assert len(texts) > many
    known = german_texts(PAGES, SIGN_IN)
    assert sorted(text for text in texts if not known.get(text)) == []
    assert [text for text in texts if sorted(_PLACES.findall(text)) != sorted(_PLACES.findall(known[text]))] == []


def test_a_page_is_german_for_a_reader_of_german(client: Client) -> None:
    client.force_login(new_user())
    text = client.get("/", headers={"Accept-Language": "de-AT,de;q=0.9"}).content.decode()
    assert "Ihre Projekte" in text
    assert "Your projects" not in text
    assert "Ihre Projekte" not in client.get("/", headers={"Accept-Language": "en"}).content.decode()


def test_sign_in_is_german_for_a_reader_of_german(client: Client) -> None:
    headers = {"Accept-Language": "de"}
    assert "Bei Moorage anmelden" in client.get("/-/sign-in", headers=headers).content.decode()
    refused = client.post("/-/sign-in", {"login": "nobody", "password": "wrong"}, headers=headers)
    assert "Benutzername und Passwort gehören nicht zusammen." in refused.content.decode()
    client.force_login(new_user())
    assert "Sicherheitsschlüssel hinzufügen" in client.get("/-/me/second-factor", headers=headers).content.decode()
