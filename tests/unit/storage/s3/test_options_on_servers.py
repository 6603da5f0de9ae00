"""Options that change requests, on servers that judge them."""

import random

import pytest

from moorage.config import S3Section
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.rude_server import RudeServer, Said
from support.s3_stores import new_driver, seaweed, versitygw

BYTES = random.Random(9).randbytes(11 << 20)
OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "encrypted": {"encrypt": True},
    "class": {"storageclass": "STANDARD_IA"},
    "small copies": {
        "multipartcopythresholdsize": 0,
        "multipartcopychunksize": 5 << 20,
        "multipartcopymaxconcurrency": 2,
    },
    "crc32": {"checksum_algorithm": "CRC32"},
    "crc64": {"checksum_algorithm": "CRC64NVME"},
    "sha256": {"checksum_algorithm": "SHA256"},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("server", ["seaweed", "versitygw"])
async def test_objects_are_written_in_every_way_and_are_whole(server: str, name: str) -> None:
    driver = new_driver(seaweed() if server == "seaweed" else versitygw(), **OPTIONS[name])
    await driver.put("/a", BYTES)
    assert await driver.put_if_absent("/b", [b"in ", b"pieces"])
    await driver.copy(["/a"], "/c")
    await driver.copy(["/b", "/a", "/b"], "/d")
    writer = await driver.begin_parts("/e")
    for begin in range(0, len(BYTES), 5 << 20):
        await writer.add([BYTES[begin : begin + (5 << 20)]])
    await writer.complete()
    for path, content in {"/c": BYTES, "/d": b"in pieces" + BYTES + b"in pieces", "/e": BYTES}.items():
        with await driver.open(path) as reader:
            assert b"".join([piece async for piece in reader.chunks()]) == content
    await driver.close()


async def test_a_request_has_the_agents_name_and_its_line_no_signature(capsys: pytest.CaptureFixture[str]) -> None:
    async with RudeServer([Said(200, b"x", {"ETag": '"1"'})]) as server:
        section = S3Section(
            bucket="images",
            regionendpoint=server.url,
            accesskey="AKID",
            secretkey="hidden",
            useragent="our-registry/7",
            loglevel="logrequest,logsigning",
        )
        driver = S3Driver(S3Bucket(section))
        await driver.get("/a")
        await driver.close()
        assert server.asked[0].headers["user-agent"] == "our-registry/7"
    captured = capsys.readouterr()
    line = captured.out + captured.err
    assert "GetObject" in line
    assert "/images/a" in line
    assert "AKID" not in line
    assert "hidden" not in line


def test_a_process_has_its_share_of_the_rate() -> None:
    section = S3Section(bucket="b", region="eu-1", accesskey="a", secretkey="b", maxrequestspersecond=100)
    assert S3Bucket(section, share=0.25).exchange.settings.rate._gap_s == pytest.approx(1 / 25)
