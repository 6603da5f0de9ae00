"""Lists begin where the one before ended, without reading all that was before."""

import aiohttp
import pytest
from yarl import URL

from moorage.storage.azure import listing
from moorage.storage.azure.azure_driver import AzureDriver
from moorage.storage.egress import Egress
from support.azure_front import AzureFront, Fault

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
