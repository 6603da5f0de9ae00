"""Tokens instead of the account's key: got once, renewed in time, and good for signed URLs."""

import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest

from moorage.config import AzureSection
from moorage.errors import ConfigurationError, StorageUnavailable
from moorage.storage.azure import opening, tokens
from moorage.storage.azure.opening import open_azure
from moorage.storage.azure.tokens import Tokens
from support.authority import Authority
from support.azurite import ACCOUNT, CONTAINER, azurite, make_container
from support.rude_server import RudeServer, Said

TENANT = "11111111-1111-1111-1111-111111111111"


class DirectoryAway(Exception):
    """The directory does not answer."""


@dataclass
class Issued:
    token: str
    expires_on: int


@dataclass
class Directory:
    """Gives tokens, each good for *life_s* seconds."""

    life_s: int = 3600
    given: list[Issued] = field(default_factory=list)
    is_away: bool = False
    form: str = "token-{number}"

    async def get_token(self, *scopes: str) -> Issued:
        await asyncio.sleep(0)
        if self.is_away:
            msg = "the directory is away\nand says much about it"
            raise DirectoryAway(msg)
        assert scopes == ("https://storage.azure.com/.default",)
        self.given.append(Issued(self.form.format(number=len(self.given)), int(time.time()) + self.life_s))
        return self.given[-1]

    async def close(self) -> None:
        """Nothing is open."""


def tokens_of(directory: Directory) -> Tokens:
    return Tokens(directory, errors=(DirectoryAway,))


async def test_many_at_once_share_one_token() -> None:
    directory = Directory()
    source = tokens_of(directory)
    found = await asyncio.gather(*(source.current() for _ in range(20)))
    assert set(found) == {"token-0"}
    assert len(directory.given) == 1


async def test_a_token_is_renewed_before_it_ends() -> None:
    directory = Directory(life_s=200)
    source = tokens_of(directory)
    assert [await source.current() for _ in range(2)] == ["token-0", "token-1"]


async def test_an_old_token_is_used_while_the_directory_is_away() -> None:
    directory = Directory(life_s=200)
    source = tokens_of(directory)
    await source.current()
    directory.is_away = True
    assert await source.current() == "token-0"


async def test_without_a_token_storage_is_unavailable_in_one_line() -> None:
    source = tokens_of(Directory(is_away=True))
    with pytest.raises(StorageUnavailable, match=r"could be got: the directory is away$"):
        await source.current()


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Directory:
    """The directory of all drivers that are opened."""
    made = Directory()
    monkeypatch.setattr(opening, "tokens_of", lambda *_, **__: tokens_of(made))
    return made


def section_with(url: str, **keys: object) -> AzureSection:
    place = {"serviceurl": url, "container": CONTAINER, "credentials_type": "default_credentials"}
    return AzureSection.model_validate({**place, "retry_delay": "1ms", **keys})


async def test_a_token_that_is_refused_is_renewed_once(directory: Directory) -> None:
    refused = Said(401, headers={"x-ms-error-code": "InvalidAuthenticationInfo"})
    async with RudeServer([refused, Said(200, b"content", {"ETag": "1"}), refused, refused]) as server:
        driver = open_azure(section_with(f"{server.url}/{ACCOUNT}"))
        assert await driver.get("/a") == b"content"
        with pytest.raises(StorageUnavailable, match="the token is not accepted"):
            await driver.get("/a")
        await driver.close()
    assert [asked.headers["authorization"] for asked in server.asked] == [
        f"Bearer token-{number}" for number in (0, 1, 1, 2)
    ]


async def test_without_the_right_to_sign_blobs_pass_through_us(directory: Directory) -> None:
    denied = Said(403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})
    async with RudeServer([denied]) as server:
        driver = open_azure(section_with(f"{server.url}/{ACCOUNT}"))
        assert [await driver.url_for("/a", expires_s=60) for _ in range(3)] == [None] * 3
        await driver.close()
    assert len(server.asked) == 1, "not at each pull"


async def test_the_vendors_own_credentials_are_made_of_the_section() -> None:
    for keys in ({}, {"credentials_type": "client_secret", "tenant_id": TENANT, "client_id": "c", "secret": "s"}):
        source = tokens.tokens_of(section_with("https://images.example.com", **keys), key="storage.azure")
        await source.close()


def test_what_the_vendor_refuses_is_a_mistake() -> None:
    keys = {"credentials_type": "client_secret", "tenant_id": "no tenant!", "client_id": "c", "secret": "s"}
    with pytest.raises(ConfigurationError, match=r"storage\.azure"):
        tokens.tokens_of(section_with("https://images.example.com", **keys), key="storage.azure")


def test_without_the_extra_the_command_to_type_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'moorage\[azure\]'"):
        open_azure(section_with("https://images.example.com"))
    place = {"accountname": "images", "accountkey": "a2V5", "container": "images"}
    open_azure(AzureSection.model_validate(place))  # Nobody needs it for a key.


def bearer() -> str:
    now = int(time.time())
    claims = {"iss": f"https://sts.windows.net/{TENANT}/", "aud": "https://storage.azure.com", "oid": TENANT}
    times = {"iat": now, "nbf": now - 60, "exp": now + 3600, "tid": TENANT}
    return jwt.encode({**claims, **times}, "x" * 32, algorithm="HS256")


async def test_urls_are_signed_without_the_accounts_key(tmp_path: Path, directory: Directory) -> None:
    authority = Authority(tmp_path / "ca")
    made = authority.certify("127.0.0.1")
    directory.form = bearer()
    args = ("--oauth", "basic", "--cert", str(made.certificate), "--key", str(made.key))
    with azurite(tmp_path / "azurite", *args, scheme="https") as running:
        make_container(running, authority=authority.certificate)
        driver = open_azure(section_with(running.url, skipverify=True))
        await driver.put("/a/b", b"content")
        url = await driver.url_for("/a/b", expires_s=60)
        assert url is not None
        assert "skoid" in parse_qs(urlsplit(url).query)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as client:
            async with client.get(url) as answer:
                assert (answer.status, await answer.read()) == (200, b"content")
            async with client.get(url.replace("/a/b", "/a/c")) as answer:
                assert answer.status == 403
        await driver.close()
