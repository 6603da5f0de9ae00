"""Credentials as AWS's own tools find them: each source is a server of ours on loopback, or a file."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError, StorageUnavailable
from moorage.storage.s3.asking import S3Clock, S3Signature
from moorage.storage.s3.credentials import FoundCredentials, GivenCredentials
from moorage.storage.s3.places import BucketPlace
from moorage.storage.s3.signing import S3Credentials
from support.rude_server import RudeServer, Said


def found(number: int = 1, *, lasts: timedelta = timedelta(hours=6), **more: str) -> bytes:
    expires = (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
    keys = {"AccessKeyId": f"AK{number}", "SecretAccessKey": "secret", "Token": f"token{number}", "Expiration": expires}
    return json.dumps({**keys, **more}).encode()


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    current = await FoundCredentials("storage.s3").current()
    assert (current.access_key, current.secret_key, current.token, current.expires_at) == (
        "AK",
        "secret",
        "token",
        None,
    )


async def test_a_profile_of_the_shared_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[other]\naws_access_key_id = AK\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert (await FoundCredentials("storage.s3").current()).access_key == "AK"


async def test_a_task_or_pod_asks_its_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pod-token")
    async with RudeServer([Said(200, found())]) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        current = await FoundCredentials("storage.s3").current()
        assert (current.access_key, current.token) == ("AK1", "token1")
        assert server.asked[0].headers["authorization"] == "pod-token"


async def test_a_machine_asks_its_metadata_by_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [Said(200, b"imds-token"), Said(200, b"the-role"), Said(200, found(Code="Success"))]
    async with RudeServer(said) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        assert (await FoundCredentials("storage.s3").current()).access_key == "AK1"
        assert [asked.method for asked in server.asked] == ["PUT", "GET", "GET"]
        assert server.asked[2].headers["x-aws-ec2-metadata-token"] == "imds-token"
        assert server.asked[2].target.endswith("/security-credentials/the-role")


async def test_a_service_account_shows_its_web_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text("a.b.c")
    expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKW</AccessKeyId>"
        "<SecretAccessKey>secret</SecretAccessKey><SessionToken>tokenW</SessionToken>"
        f"<Expiration>{expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
        "</AssumeRoleWithWebIdentityResponse>"
    ).encode()
    async with RudeServer([Said(200, answer, {"Content-Type": "text/xml"})]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/registry")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "jwt"))
        current = await FoundCredentials("storage.s3").current()
        assert (current.access_key, current.token) == ("AKW", "tokenW")
        assert b"WebIdentityToken=a.b.c" in server.asked[0].body


async def test_credentials_are_renewed_before_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    soon = timedelta(minutes=5)
    async with RudeServer([Said(200, found(1, lasts=soon)), Said(200, found(2))]) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/")
        source = FoundCredentials("storage.s3")
        assert {(await source.current()).access_key for _ in range(3)} == {"AK2"}
        assert len(server.asked) == 2


async def test_that_there_are_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await FoundCredentials("storage.s3_v2").current()
    (mistake,) = caught.value.mistakes
    assert mistake.path == "storage.s3_v2"
    assert "no credentials were found: give accesskey and secretkey" in mistake.message


async def test_an_agent_that_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RudeServer([Said(404, b"no")]) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/")
        with pytest.raises(StorageUnavailable, match="credentials for S3 cannot be had"):
            await FoundCredentials("storage.s3").current()


async def test_a_signed_url_ends_with_the_credentials() -> None:
    expires = datetime.now(UTC) + timedelta(minutes=5)
    source = GivenCredentials(S3Credentials("AK", "secret", "token", expires_at=expires))
    signature = S3Signature(BucketPlace("https://b.example", "eu-1"), source, S3Clock())
    url = await signature.url("https://b.example/key", expires_s=1200)
    assert 290 <= int(url.split("X-Amz-Expires=")[1].split("&")[0]) <= 300
