"""Sign-in and the whole life of a project in a real browser: by password, by a provider, with a second factor."""

import base64
import re
import time

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Browser, Page, expect

from browser.test_pages_in_a_browser import context_of
from support.daemon import Daemon
from support.images import image, push_image
from support.pages_site import PagesSite
from support.registry_client import RegistryClient

pytestmark = pytest.mark.xdist_group("browser")

PASSWORD = "Tr0ub4dor-of-tests"
STEP_S = 30


def code_of(key: str, *, steps: int = 0) -> str:
    """The code that an authenticator shows, now or *steps* half minutes later."""
    return TOTP(base64.b32decode(key), 6, SHA1(), STEP_S).generate(int(time.time()) + steps * STEP_S).decode()  # noqa: S303 - RFC 6238


def sign_in(page: Page) -> None:
    page.goto("/-/sign-in")
    page.get_by_label("User name or e-mail").fill("eve")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_password_and_then_a_second_factor_open_the_account_and_other_sessions_can_be_ended(
    browser: Browser, site: PagesSite
) -> None:
    first, second = (context_of(browser, site, "").new_page() for _ in range(2))
    first.goto("/-/sign-in")
    first.get_by_label("User name or e-mail").fill("eve")
    first.get_by_label("Password", exact=True).fill("wrong")
    first.get_by_role("button", name="Sign in").click()
    expect(first.get_by_text("do not belong together")).to_be_visible()
    sign_in(first)
    expect(first.get_by_role("heading", name="Welcome, eve")).to_be_visible()
    first.goto("/-/me/second-factor")
    first.get_by_role("link", name="Set up an authenticator").click()
    key = re.sub(r"\s", "", first.locator(".secret span").first.inner_text())
    first.get_by_label("Code").fill(code_of(key))
    first.get_by_role("button", name="Add it").click()
    expect(first.get_by_text("the only time that the codes are shown")).to_be_visible()
    sign_in(second)
    expect(second.get_by_role("heading", name="Second factor")).to_be_visible()
    second.get_by_label("Code").fill(code_of(key, steps=1))
    second.get_by_role("button", name="Sign in").click()
    expect(second.get_by_role("heading", name="Welcome, eve")).to_be_visible()
    second.goto("/-/me/sessions")
    second.get_by_role("button", name="Sign out everywhere else").click()
    first.goto("/")
    expect(first.get_by_role("link", name="Sign in")).to_be_visible()
    for page in (first, second):
        page.context.close()


def test_a_provider_signs_somebody_in_who_was_never_here(browser: Browser, site: PagesSite) -> None:
    page = context_of(browser, site, "").new_page()
    page.goto("/-/sign-in?next=/projects")
    page.get_by_role("link", name="Continue with Company").click()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Welcome, Vera Rubin")).to_be_visible()
    page.context.close()


def test_a_project_lives_from_its_making_to_its_end(browser: Browser, site: PagesSite, shared_daemon: Daemon) -> None:
    page = context_of(browser, site, "ada").new_page()
    page.goto("/projects/new?in=team")
    page.get_by_label("Path").fill("ferry")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", name="Nothing is moored here yet")).to_be_visible()
    page.goto("/team/ferry/-/members")
    page.get_by_label("User name").fill("eve")
    page.get_by_role("button", name=re.compile("Add")).click()
    expect(page.get_by_role("rowheader", name=re.compile("eve"))).to_be_visible()
    with RegistryClient(shared_daemon.address) as pusher:
        for tag in ("1.0", "2.0"):
            push_image(pusher, "team/ferry", tag, image(f"team/ferry {tag}"))
    page.goto("/team/ferry/-/registry")
    page.get_by_role("rowheader", name=re.compile("root image")).get_by_role("link").click()
    page.get_by_label("Delete 1.0").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 tag is back.")).to_be_visible()
    page.goto("/team/ferry/-/cleanup")
    page.get_by_label("Names that go").fill(".*")
    page.get_by_label("Newest tags that stay").select_option("1")
    page.get_by_label("Only tags go that are older than").select_option("")
    expect(page.get_by_text(re.compile("1 of 2 tags goes"))).to_be_visible()
    page.goto("/team/ferry/-/delete-place")
    page.locator("input[name=path]").fill("team/ferry")
    page.get_by_role("button", name=re.compile("Delete")).click()
    expect(page.get_by_role("status").first).to_contain_text("The project")
    page.context.close()
