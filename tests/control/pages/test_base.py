"""What all pages have in common: headers, files, errors, languages, and pages that need no sign-in."""

import re

import pytest
from django.test import Client

from moorage.control.pages.page_safety import POLICY
from support.control_rows import new_group, new_project, new_user


def test_home_without_anything_public_leads_to_sign_in(client: Client) -> None:
    new_project()
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/-/sign-in")


def test_home_without_sign_in_lists_what_is_public(client: Client) -> None:
    public, private = new_project(visibility="public"), new_project()
    text = client.get("/").content.decode()
    assert public.full_path in text
    assert private.full_path not in text


def test_home_shows_my_projects_and_no_other(client: Client) -> None:
    user = new_user()
    mine, other = new_project(user), new_project()
    client.force_login(user)
    text = client.get("/").content.decode()
    assert mine.full_path in text
    assert other.full_path not in text


def test_pages_take_nothing_from_elsewhere_and_hold_no_style_or_script_of_their_own(client: Client) -> None:
    client.force_login(new_user(is_admin=True))
    for address in ("/", "/projects", "/groups", "/-/search?q=x", "/admin", "/projects/new", "/nowhere"):
        answer = client.get(address)
        text = answer.content.decode()
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", text), address
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', text), address


def test_files_have_their_digest_in_their_name_and_are_kept_for_long(client: Client) -> None:
    new_project(visibility="public")
    text = client.get("/").content.decode()
    addresses = re.findall(r'(?:src|href)="(/-/static/[^"]+)"', text)
    assert len(addresses) == 3
    for address in addresses:
        answer = client.get(address)
        for close in vars(answer)["_resource_closers"]:  # As a server does; the whole close would end the database too.
            close()
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", address)
        assert client.get(re.sub(r"\.[0-9a-f]{12}\.", ".", address)).status_code == 404


@pytest.mark.parametrize("address", ["/nobody", "/nobody/app/-/settings", "/-/nothing", "/a%00b", "/\u20ac"])
def test_what_is_not_there_is_a_page_with_the_id_of_the_request(client: Client, address: str) -> None:
    answer = client.get(address, headers={"X-Request-Id": "q-1"})
    assert answer.status_code == 404
    assert "<code>q-1</code>" in answer.content.decode()


def test_a_form_without_its_secret_is_refused_in_words() -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(new_user())
    answer = strict.post("/projects/new", {"path": "app"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()


def test_a_fault_of_ours_is_a_page_with_the_id_and_without_the_fault(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        msg = "secret detail"
        raise RuntimeError(msg)

    monkeypatch.setattr("moorage.control.pages.views.home.key_page", broken)
    client.raise_request_exception = False
    answer = client.get("/projects", headers={"X-Request-Id": "q-2"})
    assert answer.status_code == 500
    assert "q-2" in answer.content.decode()
    assert "secret detail" not in answer.content.decode()


def test_pages_are_in_the_reader_s_language_and_the_api_is_not(client: Client) -> None:
    german = {"Accept-Language": "de"}
    new_project(visibility="public")
    answer = client.get("/projects", headers=german)
    assert answer.headers["Content-Language"] == "de"
    assert '<html lang="de">' in answer.content.decode()
    assert client.get("/api/v4/nothing", headers=german).json() == {"error": "404 Not Found"}


@pytest.mark.parametrize("address", ["/", "/-/readiness"])
def test_a_balancer_that_asks_for_options_is_told_that_the_node_is_up(client: Client, address: str) -> None:
    """HAProxy sends ``OPTIONS / HTTP/1.0`` unless it is told otherwise, and takes 405 for down."""
    answer = client.options(address)
    assert answer.status_code == 200
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("address", ["/projects?q=%00", "/groups?sort=name&after=a%00b,1", "/-/search?q=a%00b"])
def test_an_address_with_a_null_character_makes_no_sense(client: Client, address: str) -> None:
    """PostgreSQL has no room for one: it was a fault of ours there."""
    assert client.get(address).status_code == 400


@pytest.mark.parametrize("key", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_a_key_that_is_a_moment_beyond_the_calendar_is_none(client: Client, key: str) -> None:
    new_project(visibility="public")
    assert client.get(f"/projects?after={key},1").status_code == 200


def test_administration_is_for_administrators(client: Client) -> None:
    assert client.get("/admin").status_code == 302
    client.force_login(new_user())
    assert client.get("/admin").status_code == 403
    assert "Administration" not in client.get("/").content.decode()


def test_a_list_goes_by_key_forth_and_back(client: Client) -> None:
    group = new_group()
    names = sorted(new_project(group, f"p{number:02}", visibility="public").full_path for number in range(45))
    seen, address, pages = [], "/projects?sort=name", []
    for _ in range(3):
        text = client.get(address).content.decode()
        found = re.findall(rf'<a href="/({group.path}/p\d\d)">', text)
        seen += found
        pages.append(found)
        forth = re.search(r'rel="next" href="([^"]+)"', text)
        back = re.search(r'rel="prev" href="([^"]+)"', text)
        address = "/projects" + forth.group(1).replace("&amp;", "&") if forth else address
    assert seen == names
    assert back is not None
    text = client.get("/projects" + back.group(1).replace("&amp;", "&")).content.decode()
    assert re.findall(rf'<a href="/({group.path}/p\d\d)">', text) == pages[1]
