"""Accounts: keys, surroundings and the machine's own; tokens that are new in time; signatures by a key and by IAM."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.auth.credentials import Credentials

from moorage.errors import ConfigurationError, StorageUnavailable
from moorage.storage.gcs.accounts import (
    GoogleAccount,
    SigningDenied,
    account_of_file,
    account_of_key,
    account_of_surroundings,
)
from support.gcs_fake import EMAIL, GCSFake


@pytest.fixture
def fake() -> Iterator[GCSFake]:
    with GCSFake() as fake:
        yield fake


class Elsewhere(Credentials):
    """Credentials without a key, as a machine or a federation has them, and a clock of their own."""

    service_account_email = EMAIL

    def __init__(self, fake: GCSFake) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fake = fake
        self.refreshed = 0
        self.good_for = timedelta(hours=1)

    def refresh(self, request: object) -> None:
        del request
        self.refreshed += 1
        self.token = f"token-{self.refreshed}"
        self.fake.tokens.add(self.token)
        self.expiry = (datetime.now(UTC) + self.good_for).replace(tzinfo=None)


def test_a_key_file_that_is_none_is_said_with_its_path(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for path, said in ((tmp_path / "none.json", "cannot be read"), (broken, "is not the JSON file of a service")):
        with pytest.raises(ConfigurationError) as caught:
            account_of_file(str(path))
        (mistake,) = caught.value.mistakes
        assert mistake.path == "storage.gcs.keyfile"
        assert str(path) in mistake.message
        assert said in mistake.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "authorized_user"}, "type: service_account"),
        ({"type": "external_account"}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ({"private_key": "-----BEGIN SECRET"}, "private_key in PEM"),
        ({"client_email": None}, "client_email"),
    ],
)
def test_a_key_that_cannot_be_used_is_said_without_showing_it(change: dict[str, str | None], said: str) -> None:
    key = {name: value for name, value in {**GCSFake.key_of("x"), **change}.items() if value is not None}
    with pytest.raises(ConfigurationError) as caught:
        account_of_key(key, key="storage.gcs.credentials")
    (mistake,) = caught.value.mistakes
    assert mistake.path == "storage.gcs.credentials"
    assert said in mistake.message
    assert "SECRET" not in mistake.message


async def test_a_token_is_asked_for_once_however_many_need_it(fake: GCSFake) -> None:
    account = account_of_key(fake.key(), key="")
    headers = await asyncio.gather(*(account.authorization() for _ in range(20)))
    assert {header.removeprefix("Bearer ") for header in headers} == fake.tokens
    assert len(fake.tokens) == 1


async def test_nobody_waits_for_a_token_while_the_old_one_is_good_for_minutes(fake: GCSFake) -> None:
    credentials = Elsewhere(fake)
    account = GoogleAccount(credentials)
    credentials.good_for = timedelta(minutes=2)
    assert await account.authorization() == "Bearer token-1"
    credentials.good_for = timedelta(hours=1)
    assert await account.authorization() == "Bearer token-1"
    await account.close()
    assert await account.authorization() == "Bearer token-2"
    assert credentials.refreshed == 2


async def test_a_token_that_was_refused_is_replaced_once(fake: GCSFake) -> None:
    credentials = Elsewhere(fake)
    account = GoogleAccount(credentials)
    refused = await account.authorization()
    await asyncio.gather(*(account.renew(refused) for _ in range(5)))
    await account.renew(refused)
    assert await account.authorization() == "Bearer token-2"


async def test_an_endpoint_that_gives_no_token_is_storage_that_is_away(fake: GCSFake) -> None:
    account = account_of_key(GCSFake.key_of(f"{fake.url}/none"), key="")
    with pytest.raises(StorageUnavailable, match="Google gave no token"):
        await account.authorization()


async def test_an_account_without_a_key_signs_by_asking_iam(fake: GCSFake) -> None:
    account = GoogleAccount(Elsewhere(fake), signing_url=f"{fake.url}/v1/projects/-/serviceAccounts/{{email}}:signBlob")
    by_key = account_of_key(fake.key(), key="")
    assert await account.signing_email() == EMAIL
    assert await account.sign(b"text") == await by_key.sign(b"text")
    fake.denied.add("iam.serviceAccounts.signBlob")
    with pytest.raises(SigningDenied, match="Service Account Token Creator"):
        await account.sign(b"text")


async def test_nobody_has_no_token() -> None:
    assert await GoogleAccount(None).authorization() == ""
    with pytest.raises(SigningDenied):
        await GoogleAccount(None).signing_email()


async def test_the_file_that_the_environment_names_is_found(
    fake: GCSFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_text(json.dumps(fake.key()))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    account = account_of_surroundings()
    assert account.has_key
    assert (await account.authorization()).removeprefix("Bearer ") in fake.tokens


def test_surroundings_without_credentials_are_said_with_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(ConfigurationError, match="give keyfile or credentials"):
        account_of_surroundings()


def test_the_account_of_a_machine_is_asked_for_at_its_metadata_server(fake: GCSFake) -> None:
    """In a process of its own, as the library reads the address once."""
    script = (
        "import asyncio; from moorage.storage.gcs.accounts import *\n"
        "async def main():\n"
        "    account = account_of_surroundings()\n"
        "    print(await account.signing_email(), await account.authorization(), account.has_key)\n"
        "asyncio.run(main())\n"
    )
    host = fake.url.removeprefix("http://")
    env = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "PATH": "", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    email, kind, token, has_key = done.stdout.split()
    assert (email, kind, has_key) == (EMAIL, "Bearer", "False"), done.stderr
    assert token in fake.tokens
