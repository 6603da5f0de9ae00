"""Signed URLs: the same as Google's own library makes, signed once for many, and never given out half used up."""

import asyncio
from datetime import UTC, datetime
from functools import cache
from urllib.parse import quote

import pytest
from google.cloud.storage._signing import generate_signed_url_v4  # type: ignore[import-untyped]
from google.oauth2 import service_account
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import StorageUnavailable
from moorage.storage.egress import Egress, in_query
from moorage.storage.gcs.signed_urls import URLSigner, unsigned_url
from support.gcs_fake import GCSFake

RESOURCE = "https://storage.googleapis.com/registry/docker/registry/v2/blobs/sha256/aa/data"
EMAIL = "registry@project.iam.gserviceaccount.com"


@cache
def credentials() -> service_account.Credentials:
    key = GCSFake.key_of("https://none.invalid/token")
    made: service_account.Credentials = service_account.Credentials.from_service_account_info(key)  # type: ignore[no-untyped-call]
    return made


@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\r\n?#"), min_size=1, max_size=40),
    expires_s=st.integers(1, 604_800),
    now=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - told below
    egress=st.builds(
        Egress, st.integers(0, 9), st.integers(0, 9), st.text(st.characters(codec="utf-8"), max_size=5), st.integers(0)
    ),
)
def test_a_url_is_that_of_the_vendors_library(name: str, expires_s: int, now: datetime, egress: Egress) -> None:
    account, at = credentials(), now.replace(tzinfo=UTC, microsecond=0)
    path = f"/registry/{quote(name.encode(), safe='/~')}"
    wanted = generate_signed_url_v4(
        account,
        path,
        expires_s,
        api_access_endpoint="https://storage.googleapis.com",
        query_parameters=dict(egress.pairs("x-goog-custom-audit-gitlab-")),
        _request_timestamp=at.strftime("%Y%m%dT%H%M%SZ"),
    )
    told = in_query(egress.pairs("x-goog-custom-audit-gitlab-"))
    resource = f"https://storage.googleapis.com{path}"
    unsigned = unsigned_url(resource, email=EMAIL, expires_s=expires_s, now=at, told=told)
    assert unsigned.signed(account.sign_bytes(unsigned.text)) == wanted


async def test_a_url_is_given_out_again_with_what_it_tells_alone() -> None:
    signer = Signing().signer()
    first = await signer.url_for(RESOURCE, email=EMAIL, expires_s=60, told="x-goog-custom-audit-gitlab-project-id=12")
    assert "&x-goog-custom-audit-gitlab-project-id=12&" in first
    assert "project-id" not in await signer.url_for(RESOURCE, email=EMAIL, expires_s=60)


class Signing:
    """A signature that comes when it is let, and a clock."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.now_s = 1_700_000_000.0
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def sign(self, text: bytes) -> bytes:
        self.texts.append(text)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return len(self.texts).to_bytes(4, "big")

    def signer(self, longest_s: int = 604_800) -> URLSigner:
        return URLSigner(self.sign, longest_s=longest_s, now=lambda: self.now_s)


async def test_a_url_is_given_out_again_until_half_of_its_time_is_over() -> None:
    signing = Signing()
    signer = signing.signer()
    first = await signer.url_for(RESOURCE, email=EMAIL, expires_s=1200)
    signing.now_s += 599
    assert await signer.url_for(RESOURCE, email=EMAIL, expires_s=1200) == first
    signing.now_s += 1
    second = await signer.url_for(RESOURCE, email=EMAIL, expires_s=1200)
    assert second != first
    assert "X-Goog-Date=20231114T222320Z&X-Goog-Expires=1200" in second
    assert len(signing.texts) == 2


async def test_other_objects_and_other_times_have_urls_of_their_own() -> None:
    signing = Signing()
    signer = signing.signer()
    urls = {
        await signer.url_for(resource, email=EMAIL, expires_s=expires_s)
        for resource in (RESOURCE, f"{RESOURCE}2")
        for expires_s in (60, 1200)
    }
    assert len(urls) == len(signing.texts) == 4


async def test_who_asks_while_it_is_being_signed_waits_for_the_same() -> None:
    signing = Signing()
    signer = signing.signer()
    signing.gate.clear()
    waiting = [asyncio.create_task(signer.url_for(RESOURCE, email=EMAIL, expires_s=60)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    signing.gate.set()
    urls = await asyncio.gather(*waiting, return_exceptions=True)
    assert len(set(map(str, urls[1:]))) == 1
    assert len(signing.texts) == 1


async def test_a_signature_that_failed_is_asked_for_again() -> None:
    signing = Signing()
    signer = signing.signer()
    signing.failure = StorageUnavailable("IAM did not sign")
    with pytest.raises(StorageUnavailable):
        await signer.url_for(RESOURCE, email=EMAIL, expires_s=60)
    signing.failure = None
    assert await signer.url_for(RESOURCE, email=EMAIL, expires_s=60)


async def test_no_url_is_good_for_longer_than_the_signature_can_be() -> None:
    url = await Signing().signer(longest_s=43_200).url_for(RESOURCE, email=EMAIL, expires_s=1_000_000)
    assert "&X-Goog-Expires=43200&" in url
