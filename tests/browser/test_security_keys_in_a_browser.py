"""Security keys in a real browser, whose own virtual authenticator answers as a key would."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from support.pages_site import KIMS_PASSWORD, WAIT_MS, PagesSite

pytestmark = pytest.mark.xdist_group("browser")


class Key:
    """A security key that is plugged into a page. Source: Web Authentication level 3, § 11."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
        made = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._authenticator = {"authenticatorId": made["authenticatorId"]}

    @property
    def uses(self) -> list[int]:
        """For each credential that it has, how often it was used."""
        found = self._session.send("WebAuthn.getCredentials", self._authenticator)
        return [one["signCount"] for one in found["credentials"]]

    def forget(self) -> None:
        """Lose every credential."""
        self._session.send("WebAuthn.clearCredentials", self._authenticator)


@pytest.fixture
def page(browser: Browser, site: PagesSite) -> Iterator[Page]:
    """A page of someone who is not signed in, at a name: browsers give keys to no bare address."""
    context = browser.new_context(base_url=site.url.replace("127.0.0.1", "localhost"))
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


def sign_in(page: Page) -> None:
    page.goto("/-/sign-in")
    page.get_by_label("User name or e-mail").fill("kim")
    page.get_by_label("Password").fill(KIMS_PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.locator(".menu > summary").last.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Moorage")).to_be_visible()


def test_a_key_is_registered_and_signs_in_and_another_one_does_not(page: Page) -> None:
    key = Key(page)
    sign_in(page)
    page.wait_for_url("**/")
    page.goto("/-/me/second-factor")
    page.get_by_label("Name").fill("blue key")
    page.get_by_role("button", name="Add a security key").click()
    expect(page.get_by_text("This is the only time that the codes are shown.")).to_be_visible()
    assert len(key.uses) == 1
    page.goto("/-/me/second-factor")
    expect(page.get_by_role("rowheader", name="blue key")).to_be_visible()
    sign_out(page)

    sign_in(page)
    before = key.uses
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url("**/")
    assert key.uses > before
    page.goto("/-/me/settings")
    expect(page.get_by_role("heading", name="How you sign in")).to_be_visible()
    sign_out(page)

    key.forget()
    sign_in(page)
    failed = page.get_by_text("The security key did not answer. Try again.")
    expect(failed).to_be_hidden()
    page.get_by_role("button", name="Use a security key").click()
    expect(failed).to_be_visible()
    page.goto("/-/me/settings")
    expect(page.get_by_role("heading", name="Sign in to Moorage")).to_be_visible()
