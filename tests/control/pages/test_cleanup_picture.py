"""The preview of a policy: bytes that come free, and a picture of how the size would have gone."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client

from moorage.control.accounts.models import User
from support.control_registry import registry_at
from support.images import image, push_image
from support.in_process import InProcess
from support.pages_inhabitants import inhabit
from support.registry_client import RegistryClient

ASKED = "enabled=on&cadence=1d&keep_n=1&name_regex=.*"
REPOSITORY = "team/app/api"


@pytest.fixture
def people() -> dict[str, User]:
    return inhabit()


def test_a_policy_is_shown_with_what_comes_free_and_drawn_as_it_would_have_gone(
    people: dict[str, User], client: Client, tmp_path: Path
) -> None:
    client.force_login(people["max"])
    with InProcess(tmp_path) as registry, registry_at(registry.url):
        with RegistryClient(registry.address) as pusher:
            for name in ("v1", "v2", "v3"):
                push_image(pusher, REPOSITORY, name, image(f"{REPOSITORY}:{name}"))
        preview = client.get(f"/team/app/-/cleanup?preview=1&{ASKED}").content.decode()
        assert "2 of 3 tags go ·" in preview
        assert "KiB come free" in preview
        assert "<polyline" not in preview
        young = client.get(f"/team/app/-/cleanup?picture=1&{ASKED}").content.decode()
        assert "There is nothing to draw" in young
        registry.execute("UPDATE journal SET at = at - 9 * ?", int(timedelta(days=1).total_seconds() * 1_000_000))
        drawn = client.get(f"/team/app/-/cleanup?picture=1&{ASKED}").content.decode()
        assert drawn.count("<polyline") == 2
        assert drawn.count('scope="row" class="name">') >= 9


def test_a_registry_without_history_is_left_out_of_the_picture_by_name(people: dict[str, User], client: Client) -> None:
    client.force_login(people["max"])
    with InProcess(None) as registry, registry_at(registry.url):
        text = client.get(f"/team/app/-/cleanup?picture=1&{ASKED}").content.decode()
    assert "the registry keeps no history: team/app/api" in text
