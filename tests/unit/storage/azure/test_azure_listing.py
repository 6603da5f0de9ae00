"""Lists begin where the one before ended, without reading all that was before."""

import aiohttp
import pytest
from yarl import URL

from moorage.errors import StorageUnavailable
from moorage.storage.azure import listing
from moorage.storage.azure.azure_driver import AzureDriver
from moorage.storage.egress import Egress
from support.azure_front import AzureFront, Fault
from support.rude_server import RudeServer, Said
from unit.storage.azure.conftest import Maker

NAMES = sorted(f"v{number}{tail}" for number in range(30) for tail in ("", "-rc", ".1"))


@pytest.fixture
async def filled(driver: AzureDriver) -> AzureDriver:
    for name in NAMES:
        await driver.put(f"/tags/{name}/current/link", b"")
    return driver


async def names(driver: AzureDriver, after: str, limit: int) -> list[str]:
    return [entry.name for entry in await driver.list("/tags", after=after, limit=limit)]


async def test_pages_are_the_whole_and_each_costs_what_the_first_did(
    filled: AzureDriver, front: AzureFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LARGEST", 20)
    found: list[str] = []
    costs: list[int] = []
    while True:
        front.seen.clear()
        page = await names(filled, found[-1] if found else "", 10)
        if not page:
            break
        costs.append(sum(seen.query.get("delimiter") == "/" for seen in front.seen))
        found += page
    assert found == NAMES
    assert max(costs) <= 3, costs


async def test_a_mark_that_is_refused_is_forgotten(filled: AzureDriver, front: AzureFront) -> None:
    first = await names(filled, "", 10)
    second = await names(filled, first[-1], 10)
    front.faults.append(Fault("ListBlobs", status=400, code="OutOfRangeInput"))
    front.seen.clear()
    assert first + second + await names(filled, second[-1], 10) == NAMES[:30]
    refused, again = front.seen[:2]
    assert "marker" in refused.query
    assert "marker" not in again.query


async def test_a_signed_url_is_good_for_anybody_until_it_is_changed(driver: AzureDriver) -> None:
    await driver.put("/a/with space", b"content")
    url = await driver.url_for("/a/with space", expires_s=60, egress=Egress(3, 12, "gitlab_or_ldap", 7))
    assert url is not None
    assert "&x-gitlab-project-id=12&" in url, "whose traffic it is stands in the service's log"
    async with aiohttp.ClientSession() as client:
        for asked, status in ((url, 200), (url.replace("with", "width"), 403), (url.replace("sp=r", "sp=w"), 403)):
            async with client.get(URL(asked, encoded=True)) as answer:
                assert answer.status == status
    late = await driver.url_for("/a/with space", expires_s=-1)
    assert late is not None
    async with aiohttp.ClientSession() as client, client.get(URL(late, encoded=True)) as answer:
        assert answer.status == 403


def page(name: str, mark: str) -> Said:
    """A page of a list; an empty one with a mark is one that the service has cut at a partition of its own."""
    properties = "<Properties><Last-Modified>Sun, 29 Nov 2026 12:00:00 GMT</Last-Modified></Properties>"
    blob = f"<Blob><Name>{name}</Name>{properties}</Blob>" if name else ""
    text = f"<EnumerationResults><Blobs>{blob}</Blobs><NextMarker>{mark}</NextMarker></EnumerationResults>"
    return Said(200, text.encode())


async def test_a_page_with_nothing_on_it_is_not_the_last(new_driver: Maker) -> None:
    pages = [page("", "2"), page("", "3"), page("tags/v1", "4"), page("", "5"), page("tags/v2", "")]
    async with RudeServer(pages) as server:
        driver = new_driver(serviceurl=server.url, rootdirectory="")
        first = await driver.list("/tags", limit=1)
        assert [entry.name for entry in [*first, *await driver.list("/tags", after="v1", limit=1)]] == ["v1", "v2"]
    async with RudeServer(pages) as server:
        driver = new_driver(serviceurl=server.url, rootdirectory="")
        assert [path async for found in driver.all_below("/tags") for path, _ in found] == ["/tags/v1", "/tags/v2"]


async def test_a_page_of_a_proxy_is_no_list_of_nothing(new_driver: Maker) -> None:
    async with RudeServer([Said(200, b"<html><body>Please sign in.</body></html>")]) as server:
        with pytest.raises(StorageUnavailable, match="none of Azure's"):
            await new_driver(serviceurl=server.url).list("/docker")
