"""Forms when something is in the way: a session that has ended, a button that is pressed twice, a long name."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, ViewportSize, expect

from browser.test_pages_in_a_browser import WIDE, context_of
from support.pages_site import KIMS_PASSWORD, WAIT_MS, PagesSite

pytestmark = pytest.mark.xdist_group("browser")

PHONE: ViewportSize = {"width": 360, "height": 780}
GROUP = "a-group-whose-name-somebody-has-typed-in-full-" + "and-that-goes-on-" * 4 + "to-its-end"
PROJECT = "a-project-whose-owner-likes-words-" + "and-has-many-of-them-" * 3 + "too"


@pytest.fixture
def kim(browser: Browser, site: PagesSite) -> Iterator[BrowserContext]:
    """A window of somebody who signs in by the form."""
    context = browser.new_context(base_url=site.url, viewport=WIDE)
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


def sign_in(page: Page) -> None:
    page.get_by_label("User name or e-mail").fill("kim")
    page.get_by_label("Password").fill(KIMS_PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_what_was_typed_is_there_again_after_a_session_that_ended_before_it_was_sent(kim: BrowserContext) -> None:
    page = kim.new_page()
    page.goto("/-/sign-in?next=/projects/new")
    sign_in(page)
    page.get_by_label("Path").fill("typed-in-vain")
    page.get_by_label("Description").fill("Some words that took a while")
    kim.clear_cookies(name="_moorage_session")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_text("You were not signed in any more when the form came")).to_be_visible()
    sign_in(page)
    expect(page.get_by_text("What you had typed is here again. It is not sent yet.")).to_be_visible()
    expect(page.get_by_label("Path")).to_have_value("typed-in-vain")
    expect(page.get_by_label("Description")).to_have_value("Some words that took a while")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", name="Nothing is moored here yet")).to_be_visible()
    page.goto("/projects/new")
    expect(page.get_by_label("Path")).to_have_value("")


def test_a_form_without_a_page_of_its_own_leads_back_to_the_page_that_it_was_on(kim: BrowserContext) -> None:
    page = kim.new_page()
    page.goto("/-/sign-in?next=/-/me/tokens")
    sign_in(page)
    expect(page.get_by_role("heading", name="New token")).to_be_visible()
    kim.clear_cookies(name="_moorage_session")
    page.locator(".menu > summary").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make the token").click()
    sign_in(page)
    expect(page).to_have_url("/-/me/tokens")
    expect(page.get_by_label("Name")).to_have_value("laptop")


def test_a_button_that_is_pressed_twice_sends_its_form_once(browser: Browser, site: PagesSite) -> None:
    context = context_of(browser, site, "ada")
    page = context.new_page()
    page.goto("/projects/new?in=team")
    page.get_by_label("Path").fill("pressed-twice")
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            sent.append(request.url)

    page.on("request", note)
    page.get_by_role("button", name="Make the project").dblclick()
    expect(page.get_by_role("heading", name="Nothing is moored here yet")).to_be_visible()
    assert len(sent) == 1
    context.close()


def test_long_names_fit_into_a_window_and_the_tab_one_is_on_is_in_sight(browser: Browser, site: PagesSite) -> None:
    context = context_of(browser, site, "root")
    page = context.new_page()
    page.goto("/groups/new")
    page.get_by_label("Path").fill(GROUP)
    page.get_by_role("button", name="Make the group").click()
    page.goto(f"/projects/new?in={GROUP}")
    page.get_by_label("Path").fill(PROJECT)
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", name="Nothing is moored here yet")).to_be_visible()
    for tab in ("registry", "protection", "members", "settings", "tokens", "cleanup"):
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            page.goto(f"/{GROUP}/{PROJECT}/-/{tab}")
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], tab
            expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=1)
    context.close()
