"""The pages in a real browser: accessibility in both schemes, widths, keyboard, and forms with their ways back.

With ``PICTURES=1`` pictures of each page go to ``screenshots/``, which git does not keep.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect

from support.daemon import Daemon
from support.pages_site import WAIT_MS, PagesSite
from support.registry_work import registry_at_work, write_check

pytestmark = pytest.mark.xdist_group("browser")

PICTURES = Path(__file__).parents[2] / "screenshots"
AXE = Path("/usr/local/share/moorage-tests/axe.min.js")
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
LARGE: ViewportSize = {"width": 3840, "height": 2160}
PAGES = {
    "home": ("ada", "/"),
    "projects": ("ada", "/projects"),
    "groups": ("ada", "/groups"),
    "group": ("ada", "/team"),
    "new-project": ("ada", "/projects/new?q=te"),
    "new-group": ("ada", "/groups/new"),
    "search": ("ada", "/-/search?q=ap"),
    "registry": ("ada", "/team/app/-/registry"),
    "registry-of-group": ("ada", "/team/-/registry"),
    "registry-empty": ("dev", "/team/empty/-/registry"),
    "tags": ("ada", "/team/app/api/-/tags"),
    "tag-open": ("ada", "/team/app/api/-/tags?open=1.8.2&q=1."),
    "index-open": ("ada", "/team/app/api/-/tags?open=1.9.0-rc1&q=1."),
    "timeline": ("ada", "/team/app/api/-/timeline?tag=latest"),
    "as-of": ("ada", "/team/app/api/-/timeline?at=2046-01-01T12:00"),
    "compare": ("ada", "/team/app/api/-/compare?from=1.8.2&with=latest"),
    "fate": ("ada", "/team/app/api/-/fate?digest=sha256:" + "0" * 64),
    "refused": ("ada", "/team/app/-/refused?action=push&repository=team/app/api&tag=1.8.2&who=rea"),
    "refusal": ("rea", "/-/refused/1"),
    "own-refusals": ("rea", "/-/refused"),
    "home-refused": ("rea", "/"),
    "usage": ("root", "/team/app/-/usage"),
    "usage-of-group": ("ada", "/team/-/usage"),
    "delete-tags": ("ada", "/team/app/api/-/delete?tag=mr-2300&tag=mr-2301"),
    "delete-repository": ("ada", "/team/app/worker/-/delete-repository"),
    "members": ("ada", "/team/app/-/members"),
    "cleanup": ("ada", "/team/app/-/cleanup"),
    "cleanup-preview": ("ada", "/team/app/-/cleanup?preview=1&enabled=on&cadence=1d&keep_n=5&name_regex=mr-.*"),
    "cleanup-picture": ("ada", "/team/app/-/cleanup?picture=1&enabled=on&cadence=1d&keep_n=5&name_regex=.*"),
    "protection": ("ada", "/team/app/-/protection"),
    "protection-rule": ("ada", "/team/app/-/protection/repository/1"),
    "sign-in-ended": ("", "/-/sign-in?ended=1&next=/projects/new"),
    "tokens": ("ada", "/team/app/-/tokens"),
    "settings": ("ada", "/team/app/-/settings"),
    "delete-project": ("ada", "/team/app/-/delete-place"),
    "admin": ("root", "/admin"),
    "admin-users": ("root", "/admin/users"),
    "admin-settings": ("root", "/admin/settings"),
    "admin-deletions": ("root", "/admin/deletions"),
    "admin-cleanup": ("root", "/admin/cleanup"),
    "admin-audit": ("root", "/admin/audit"),
    "admin-usage": ("root", "/admin/usage"),
    "admin-gc": ("root", "/admin/gc"),
    "admin-integrity": ("root", "/admin/integrity"),
    "admin-migration": ("root", "/admin/migration"),
    "admin-notifications": ("root", "/admin/notifications"),
    "forbidden": ("rea", "/team/app/-/tokens"),
    "missing": ("ada", "/nothing"),
    "sign-in": ("", "/-/sign-in"),
    "own-tokens": ("ada", "/-/me/tokens"),
    "own-sessions": ("ada", "/-/me/sessions"),
    "own-settings": ("ada", "/-/me/settings"),
    "own-second-factor": ("ada", "/-/me/second-factor"),
    "public": ("", "/"),
}


def context_of(browser: Browser, site: PagesSite, username: str, **options: object) -> BrowserContext:
    """A window of someone who is signed in."""
    context = browser.new_context(base_url=site.url, viewport=WIDE, reduced_motion="reduce", **options)  # type: ignore[arg-type] # as Playwright has them
    context.set_default_timeout(WAIT_MS)
    if username:
        context.add_cookies([{"name": "_moorage_session", "value": site.session(username), "url": site.url}])
    return context


@pytest.fixture(scope="module")
def windows(browser: Browser, site: PagesSite) -> Iterator[dict[str, Page]]:
    """A page for each person, kept."""
    contexts = {name: context_of(browser, site, name) for name in ("ada", "dev", "rea", "root", "")}
    yield {name: context.new_page() for name, context in contexts.items()}
    for context in contexts.values():
        context.close()


def faults_of(page: Page) -> list[str]:
    """What axe-core finds, a line each."""
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.fixture(scope="module", autouse=True)
def work(site: PagesSite, shared_daemon: Daemon) -> Iterator[None]:
    """A registry in the middle of checks and migrations."""
    del site
    with registry_at_work(shared_daemon.data, shared_daemon.data / "moorage.db"):
        yield


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody_in_both_schemes_at_each_width(name: str, windows: dict[str, Page]) -> None:
    """A wide one in light colours, a narrow one in dark: a fault of a colour or of a width is in one of them."""
    username, address = PAGES[name]
    page = windows[username]
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    said: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        said.append(message.text)

    page.on("console", listen)
    page.goto(address)
    page.evaluate(axe_script())
    assert faults_of(page) == []
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme="dark")
    assert faults_of(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.set_viewport_size(LARGE)
    assert page.evaluate("document.documentElement.scrollWidth") <= LARGE["width"]
    page.remove_listener("console", listen)
    assert [text for text in said if not any(status in text for status in ("403", "404"))] == []
    if os.environ.get("PICTURES"):
        take_pictures(page, name)


def test_a_bar_moves_while_a_check_is_at_work_and_the_page_stays(
    windows: dict[str, Page], shared_daemon: Daemon
) -> None:
    page = windows["root"]
    # The one of the fixture is of before the other tests: after a minute it is not taken to be at work any more.
    write_check(shared_daemon.data, share=0.42)
    page.clock.install()
    page.goto("/admin/integrity")
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", "0.42")
    page.evaluate("window.isSamePage = true")
    write_check(shared_daemon.data, share=0.8)
    page.clock.fast_forward(6000)
    expect(bar).to_have_attribute("value", "0.80")
    assert page.evaluate("window.isSamePage")


def test_a_page_sees_a_check_go_on_that_stood_still(windows: dict[str, Page], shared_daemon: Daemon) -> None:
    page = windows["root"]
    write_check(shared_daemon.data, share=0.42, ago=timedelta(minutes=2))
    page.clock.install()
    page.goto("/admin/integrity")
    expect(page.get_by_text("A check has begun and not ended.")).to_be_visible()
    write_check(shared_daemon.data, share=0.8)
    page.clock.fast_forward(16_000)
    expect(page.get_by_text("A check is at work.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.80")


def test_an_answer_that_never_comes_ends_no_refreshing(windows: dict[str, Page], shared_daemon: Daemon) -> None:
    page = windows["root"]
    write_check(shared_daemon.data, share=0.42)
    page.clock.install()
    page.goto("/admin/integrity")
    page.evaluate("const wait = AbortSignal.timeout; AbortSignal.timeout = () => wait.call(AbortSignal, 200)")
    write_check(shared_daemon.data, share=0.8)
    page.route("**/admin/integrity", lambda _: None, times=1)
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(6000)
    page.evaluate("AbortSignal.timeout = () => new AbortController().signal")
    page.clock.fast_forward(6000)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.80")


def take_pictures(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    for width, size in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=PICTURES / f"{name}-{scheme}-{width}.png", full_page=True)


def axe_script() -> str:
    if not AXE.exists():
        reason = "axe-core is not installed (scripts/install-test-components installs it as root)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return AXE.read_text()


def test_slash_goes_to_the_search_and_escape_shuts_a_menu(windows: dict[str, Page]) -> None:
    page = windows["ada"]
    page.set_viewport_size(WIDE)
    page.goto("/projects")
    page.keyboard.press("/")
    expect(page.locator(".find input")).to_be_focused()
    page.keyboard.type("worker")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="team/app/worker")).to_be_visible()
    page.locator(".menu > summary").click()
    expect(page.locator(".menu[open]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".menu[open]")).to_have_count(0)


@pytest.mark.parametrize("has_script", [True, False], ids=["with script", "without script"])
def test_picked_tags_are_deleted_and_come_back(*, has_script: bool, browser: Browser, site: PagesSite) -> None:
    context = context_of(browser, site, "dev", java_script_enabled=has_script)
    page = context.new_page()
    page.goto("/team/app/api/-/tags?q=mr-231&sort=name")
    for tag in ("mr-2310", "mr-2311"):
        page.get_by_label(f"Pick {tag}").check()
    page.locator(".bulk button").click()
    expect(page.get_by_role("heading", name="Delete 2 tags?")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status").first).to_contain_text("2 tags are deleted.")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").first).to_contain_text("2 tags are back.")
    page.goto("/team/app/api/-/tags?q=mr-2310")
    expect(page.get_by_role("link", name="mr-2310", exact=True)).to_be_visible()
    context.close()


def test_times_are_in_the_zone_of_the_reader_and_without_script_in_utc(browser: Browser, site: PagesSite) -> None:
    said = []
    for has_script in (True, False):
        context = context_of(browser, site, "ada", timezone_id="Asia/Kathmandu", java_script_enabled=has_script)
        page = context.new_page()
        page.goto("/team/app/api/-/tags?open=1.8.2&q=1.8.2")
        said.append((page.locator("tr.inner time").inner_text(), page.locator("tr.open time").get_attribute("title")))
        context.close()
    (home, home_title), (utc, utc_title) = said
    assert home.endswith("GMT+5:45")
    assert str(home_title).endswith("GMT+5:45")
    assert utc.endswith(" UTC")
    assert str(utc_title).endswith(" UTC")


def test_a_moved_tag_goes_back_on_its_time_line(browser: Browser, site: PagesSite) -> None:
    context = context_of(browser, site, "dev")
    page = context.new_page()
    page.goto("/team/app/api/-/timeline?tag=moved")
    expect(page.get_by_text("was moved").first).to_be_visible()
    page.get_by_role("button", name="Back to").first.click()
    expect(page.get_by_role("status").first).to_contain_text("moved is back as it was.")
    context.close()


def test_what_is_attached_is_read_from_the_tag(windows: dict[str, Page]) -> None:
    page = windows["ada"]
    page.set_viewport_size(WIDE)
    page.goto("/team/app/api/-/tags?open=1.8.2&q=1.8.2")
    page.get_by_role("link", name="application/vnd.sign").click()
    expect(page.get_by_text("Moorage shows it and does not verify it.")).to_be_visible()
    expect(page.get_by_role("rowheader", name="zlib")).to_be_visible()
    page.evaluate(axe_script())
    assert faults_of(page) == []
    if os.environ.get("PICTURES"):
        take_pictures(page, "attached")


def test_a_project_is_made_and_says_what_is_wrong_beside_the_field(windows: dict[str, Page]) -> None:
    page = windows["ada"]
    page.goto("/projects/new?in=team")
    page.get_by_label("Path").fill("-wrong-")
    page.get_by_role("button", name="Make the project").click()
    expect(page.locator("#id_path_error")).to_contain_text("must not start or end with a special character")
    page.get_by_label("Path").fill("quay-cameras")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", name="Nothing is moored here yet")).to_be_visible()
    expect(page.get_by_text("docker push 127.0.0.1:5000/team/quay-cameras:1.0.0").first).to_be_attached()
