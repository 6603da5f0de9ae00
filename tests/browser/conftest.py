"""One site and one browser for all tests of pages."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from support.components import need
from support.daemon import Daemon
from support.oidc_provider import CLIENT_ID, CLIENT_SECRET, oidc_provider
from support.pages_site import WAIT_MS, PagesSite, push_site_images


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, shared_daemon: Daemon) -> Iterator[PagesSite]:
    """The control plane over a registry that has its people's images."""
    push_site_images(shared_daemon.address)
    with oidc_provider() as provider:
        provider.claims = {"sub": "f7a1", "preferred_username": "vera", "email": "vera@x.example", "name": "Vera Rubin"}
        keys = {"issuer": provider.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "label": "Company"}
        more = {"sign_in": {"oidc": keys}}
        with PagesSite(tmp_path_factory.mktemp("site"), api_url=shared_daemon.url, more=more) as found:
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium. It ends with the module: its loop must not be there for tests that have their own."""
    need("chromium")
    expect.set_options(timeout=WAIT_MS)
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=args)
        yield found
        found.close()
