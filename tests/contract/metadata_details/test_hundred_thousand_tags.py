"""100,000 tags as link files in a bucket: a page costs what a page of a small repository costs, and is in order."""

import time
from collections.abc import AsyncIterator

import pytest

from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.remote.exchange import Exchange, StoreAnswer, StoreCall
from moorage.storage.remote.remote_driver import each
from moorage.storage.s3.s3_driver import S3Driver
from support.s3_stores import new_driver, seaweed

NAME = RepositoryName("group/app")
COUNT = 100_000
PAGE = 100
_AT_ONCE = 64


@pytest.fixture
async def driver() -> AsyncIterator[S3Driver]:
    made = new_driver(seaweed())
    yield made
    await made.close()


@pytest.mark.long
@pytest.mark.timeout(3000)
async def test_a_page_of_a_hundred_thousand_tags_takes_few_requests(
    driver: S3Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = Digest.of(b"x")
    # Names whose folders stand elsewhere among keys than the names do: "-" and "." come before "/".
    names = [f"v{number // 10}{('', '.1', '-rc')[number % 3]}.{number % 10}" for number in range(COUNT - 1)] + ["v5"]
    names = sorted({*names, "v5-", "v5.0"}, key=str.encode)

    async def put(name: str) -> None:
        await driver.put(paths.tag_link(NAME, Tag(name)), str(digest).encode())

    await each(names, put, at_once=_AT_ONCE)
    requests, send, said = 0, Exchange.send, [f"{len(names)} tags"]

    async def counted(exchange: Exchange, call: StoreCall) -> StoreAnswer:
        nonlocal requests
        requests += 1
        return await send(exchange, call)

    monkeypatch.setattr(Exchange, "send", counted)
    catalogue = LayoutCatalogue(driver)
    for at in (0, 1, len(names) // 2, len(names) - PAGE - 1, len(names) - 1):
        requests, began_at = 0, time.perf_counter()
        after = names[at - 1] if at else ""
        page = await catalogue.tags(NAME, after=after, limit=PAGE)
        said.append(f"page at {at}: {requests} requests, {time.perf_counter() - began_at:.3f} s")
        assert [tag.text for tag in page.items] == names[at : at + PAGE]
        assert page.more == (at + PAGE < len(names))
        # Besides the list itself: names that are the beginning of others may stand behind them.
        assert requests <= 4 + PAGE
    requests, began_at = 0, time.perf_counter()
    found = (await catalogue.tags(NAME, after="", limit=None)).items
    said.append(f"all: {requests} requests, {time.perf_counter() - began_at:.1f} s")
    assert [tag.text for tag in found] == names
    assert requests <= COUNT // 1000 + 10
    with capsys.disabled():
        print("", *said, sep="\n")  # noqa: T201 - the figures are what it is run for
