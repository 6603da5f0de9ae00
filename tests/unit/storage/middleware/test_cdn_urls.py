"""URLs of delivery networks: made anew or kept, and not for clients that are near."""

import asyncio
import json
from datetime import timedelta

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.egress import UNTOLD, Egress
from moorage.storage.middleware.cdn_urls import CdnUrls, FixedHostUrls, SignedUrls
from moorage.storage.middleware.near_networks import NearNetworks, _parsed, google_prefixes
from moorage.storage.urls import DriverUrls
from support.clock import Clock
from support.signing_bucket import SigningBucket

PATH = "/docker/registry/v2/blobs/sha256/ab/abcd/data"


class Counting:
    """A signature that tells which one it is."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, url: str, *, expires_at: int, egress: Egress = UNTOLD) -> str:
        del egress
        self.count += 1
        return f"{url}?until={expires_at}&number={self.count}"


def signed(clock: Clock, *, kept_for: timedelta | None, prefix: str = "") -> SignedUrls:
    validity = timedelta(minutes=20)
    return SignedUrls(
        "https://cdn.example.com/base/", Counting(), prefix=prefix, validity=validity, kept_for=kept_for, now=clock
    )


def test_a_url_has_the_key_in_the_bucket_and_its_time() -> None:
    urls = signed(Clock(1_000_000.5), kept_for=None, prefix="my root/é/")
    expected = "https://cdn.example.com/base/my%20root/%C3%A9/docker/registry/v2/blobs/sha256/ab/abcd/data"
    assert urls.url_for(PATH) == f"{expected}?until=1001200&number=1"


def test_a_dear_url_is_given_out_again_until_half_of_its_time_is_over() -> None:
    clock = Clock(1_000_000.5)
    urls = signed(clock, kept_for=timedelta(minutes=10))
    first, other = urls.url_for(PATH), urls.url_for(f"{PATH}2")
    clock.now += 599
    assert (urls.url_for(PATH), urls.url_for(f"{PATH}2")) == (first, other)
    clock.now += 2
    assert urls.url_for(PATH) == first.partition("?")[0] + "?until=1001801&number=3"


@pytest.mark.parametrize("kept_for", [None, timedelta(0), timedelta(minutes=-1)])
def test_a_cheap_url_is_made_anew(kept_for: timedelta | None) -> None:
    urls = signed(Clock(1_000_000.5), kept_for=kept_for)
    assert urls.url_for(PATH) != urls.url_for(PATH)


def test_only_so_many_urls_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moorage.storage.middleware.cdn_urls._KEPT", 2)
    urls = signed(Clock(1_000_000.5), kept_for=timedelta(minutes=10))
    first = urls.url_for(f"{PATH}1")
    for number in (2, 3):
        urls.url_for(f"{PATH}{number}")
    assert urls.url_for(f"{PATH}1") != first


def test_a_url_is_given_out_again_for_the_same_project_alone() -> None:
    urls = signed(Clock(1_000_000.5), kept_for=timedelta(minutes=10))
    first = urls.url_for(PATH, Egress(project_id=12))
    assert urls.url_for(PATH, Egress(project_id=12)) == first
    assert urls.url_for(PATH, Egress(project_id=13)) != first


def near_google() -> NearNetworks:
    networks = NearNetworks("http://unasked", google_prefixes, name="gcp", interval=timedelta(hours=1))
    listed = {"prefixes": [{"ipv4Prefix": "192.0.2.0/24"}, {"ipv6Prefix": "2001:db8::/32"}]}
    networks._ranges = _parsed(json.dumps(listed).encode(), google_prefixes)
    return networks


@pytest.mark.parametrize(
    ("address", "is_near"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("192.0.3.7", False),
        ("2001:db9::1", False),
        ("", False),
        ("unknown", False),
    ],
)
async def test_a_near_client_reads_the_bucket_and_others_the_network(address: str, *, is_near: bool) -> None:
    bucket = SigningBucket()
    direct = DriverUrls(bucket, expires_s=60)
    urls = CdnUrls(signed(Clock(1_000_000.5), kept_for=None), direct=direct, near=near_google())
    told: list[str] = []
    urls.on_sent = told.append
    url = await urls.url_for(PATH, address=address) or ""
    assert told == ["gcp" if is_near else ""]
    assert url.startswith(bucket.host if is_near else "https://cdn.example.com/base/docker/")
    assert bucket.signed == ([PATH] if is_near else [])


async def test_a_near_client_is_served_from_here_where_the_storage_signs_nothing() -> None:
    urls = CdnUrls(signed(Clock(1_000_000.5), kept_for=None), direct=None, near=near_google())
    assert await urls.url_for(PATH, address="192.0.2.7") is None


async def test_nobody_is_near_before_the_list_has_come() -> None:
    networks = NearNetworks("http://unasked", google_prefixes, name="gcp", interval=timedelta(hours=1))
    urls = CdnUrls(signed(Clock(1_000_000.5), kept_for=None), direct=None, near=networks)
    assert await urls.url_for(PATH, address="192.0.2.7") is not None


@pytest.mark.parametrize("base", ["https://files.example.com", "https://files.example.com/behind/a/path"])
async def test_a_fixed_host_has_the_path_behind_its_own(base: str) -> None:
    assert await FixedHostUrls(base).url_for(PATH, address="") == base + PATH


def test_a_path_that_is_none_is_our_mistake() -> None:
    with pytest.raises(StorageUnavailable):
        signed(Clock(1_000_000.5), kept_for=None).url_for("/docker/../secret")
    with pytest.raises(StorageUnavailable):
        asyncio.run(FixedHostUrls("https://a").url_for("relative", address=""))
