"""The policy of the how-to allows every request that is made, and nothing that is not needed."""

import fnmatch
import json
import random
import re
from pathlib import Path

import pytest

from moorage.config import S3Section
from moorage.errors import ConfigurationError
from moorage.storage.s3.answers import RIGHTS
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.fault_proxy import Passed
from support.rude_server import RudeServer, Said
from unit.storage.s3.conftest import Behind

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "s3.md"
MIB = 1 << 20
BUCKET = "my-registry"


def policy() -> list[dict[str, list[str] | str]]:
    (text,) = re.findall(r"<!-- policy -->\n```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    statements: list[dict[str, list[str] | str]] = json.loads(text)["Statement"]
    return statements


def is_allowed(action: str, resource: str) -> bool:
    """As IAM decides without a denial: some statement names both."""
    return any(
        statement["Effect"] == "Allow"
        and action in statement["Action"]
        and fnmatch.fnmatchcase(resource, str(statement["Resource"]))
        for statement in policy()
    )


def needed(passed: Passed) -> set[tuple[str, str]]:
    """The rights that a request needs, by AWS's table of actions, with the resource of each."""
    key = passed.target.partition("?")[0].lstrip("/").partition("/")[2]
    rights = set(re.findall(r"s3:\w+", RIGHTS[passed.kind]))
    is_of_bucket = rights <= {"s3:ListBucket", "s3:ListBucketMultipartUploads"}
    resource = f"arn:aws:s3:::{BUCKET}" if is_of_bucket else f"arn:aws:s3:::{BUCKET}/{key or 'any'}"
    return {(right, resource) for right in rights}


async def test_every_request_is_allowed_and_every_right_is_used(behind: Behind) -> None:
    content = random.Random(1).randbytes(6 * MIB)
    async with behind() as (driver, proxy):
        await driver.examine()
        await driver.probe()
        for path in ("/a/b", "/a/c"):
            await driver.put(path, content)
        assert await driver.put_if_absent("/a/d", b"x")
        await driver.copy(["/a/b", "/a/c"], "/e")
        await driver.copy(["/a/d"], "/f")
        writer = await driver.begin_parts("/g")
        await writer.add([content])
        await writer.complete()
        other = await driver.begin_parts("/h")
        assert [parts.path async for parts in driver.unfinished_parts()] == ["/h"]
        await other.abort()
        await driver.stat("/a")
        await driver.list("/a", limit=1)
        with await driver.open("/g") as reader:
            assert b"".join([piece async for piece in reader.chunks(0, 10)]) == content[:10]
        await driver.delete("/a")
        await driver.remove(["/e", "/f", "/g"], until=float("inf"))
        assert set(proxy.counts) == set(RIGHTS), "every kind of request is made here, and no other"
        used = {right for passed in proxy.requests for right in needed(passed)}
    assert [right for right in sorted(used) if not is_allowed(*right)] == []
    given = {action for statement in policy() for action in statement["Action"]}
    assert given == {action for action, _ in used}


def test_the_policy_allows_nothing_of_another_bucket() -> None:
    assert not is_allowed("s3:GetObject", "arn:aws:s3:::other/key")
    assert not is_allowed("s3:DeleteBucket", f"arn:aws:s3:::{BUCKET}")


REFUSALS = {
    "NoSuchBucket": (404, "", "storage.s3.bucket: .*there is no such bucket: make it"),
    "AccessDenied": (403, "", r"storage.s3: .*grant them s3:ListBucket on arn:aws:s3:::images"),
    "InvalidAccessKeyId": (403, "", "storage.s3.accesskey: .*not known there"),
    "SignatureDoesNotMatch": (403, "", "storage.s3.secretkey: .*does not match"),
    "ExpiredToken": (400, "", "storage.s3.sessiontoken: .*have expired"),
    "PermanentRedirect": (301, "eu-west-9", "storage.s3.region: .*set it to eu-west-9"),
    "AuthorizationHeaderMalformed": (400, "eu-west-9", "storage.s3.region: .*set it to eu-west-9"),
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_is_one_sentence_that_says_what_to_do(code: str) -> None:
    status, region, said = REFUSALS[code]
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    headers = {"x-amz-bucket-region": region} if region else {}
    async with RudeServer([Said(status, body, headers)]) as server:
        section = S3Section(bucket="images", regionendpoint=server.url, accesskey="a", secretkey="hidden")
        driver = S3Driver(S3Bucket(section))
        with pytest.raises(ConfigurationError, match=said) as caught:
            await driver.examine()
        assert "hidden" not in str(caught.value)
        await driver.close()
