"""What a section asks for is what requests have: places, headers, checksums, and contradictions that stop the start."""

import base64
import hashlib
import zlib
from pathlib import Path

import pytest
from awscrt import checksums
from pydantic import ValidationError

from moorage.config import S3Section
from moorage.errors import ConfigurationError
from moorage.storage.s3.asking import ObjectHeaders
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.checksums import checksum_named
from moorage.storage.s3.places import BucketPlace, place_of


def section(**given: object) -> S3Section:
    return S3Section.model_validate(
        {"bucket": "images", **({} if "regionendpoint" in given else {"region": "eu-1"}), **given}
    )


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"region": "eu-west-1"}, "https://images.s3.eu-west-1.amazonaws.com"),
        ({"region": "eu-west-1", "pathstyle": True}, "https://s3.eu-west-1.amazonaws.com/images"),
        ({"region": "eu-west-1", "forcepathstyle": True}, "https://s3.eu-west-1.amazonaws.com/images"),
        ({"region": "eu-west-1", "bucket": "a.b"}, "https://s3.eu-west-1.amazonaws.com/a.b"),
        ({"region": "eu-west-1", "usedualstack": True}, "https://images.s3.dualstack.eu-west-1.amazonaws.com"),
        ({"region": "us-east-1", "usefipsendpoint": True}, "https://images.s3-fips.us-east-1.amazonaws.com"),
        ({"region": "us-east-1", "accelerate": True}, "https://images.s3-accelerate.amazonaws.com"),
        ({"region": "cn-north-1"}, "https://images.s3.cn-north-1.amazonaws.com.cn"),
        ({"region": "eu-west-1", "secure": False}, "http://images.s3.eu-west-1.amazonaws.com"),
        ({"regionendpoint": "http://minio:9000"}, "http://minio:9000/images"),
        ({"regionendpoint": "minio:9000"}, "https://minio:9000/images"),
        ({"regionendpoint": "minio:9000", "secure": False}, "http://minio:9000/images"),
        ({"regionendpoint": "https://s3.example/", "pathstyle": False}, "https://images.s3.example"),
        (
            {"regionendpoint": "https://bucket.vpce-1a.s3.eu-west-1.vpce.amazonaws.com", "pathstyle": False},
            "https://images.bucket.vpce-1a.s3.eu-west-1.vpce.amazonaws.com",
        ),
        (
            {"regionendpoint": "https://bucket.vpce-1a.s3.eu-west-1.vpce.amazonaws.com", "pathstyle": True},
            "https://bucket.vpce-1a.s3.eu-west-1.vpce.amazonaws.com/images",
        ),
    ],
)
def test_a_bucket_is_where_the_section_says(given: dict[str, object], url: str) -> None:
    assert place_of(section(**given), key="storage.s3").url == url


def test_a_region_goes_into_signatures_where_there_is_an_endpoint_too() -> None:
    place = place_of(section(regionendpoint="http://x:1", region="garage"), key="storage.s3")
    assert place == BucketPlace("http://x:1/images", "garage")
    assert place_of(section(regionendpoint="http://x:1"), key="storage.s3").region == "us-east-1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"accesskey": "a"}, "accesskey and secretkey are given together"),
        ({"sessiontoken": "a"}, "sessiontoken needs accesskey"),
        ({"keyid": "k"}, "keyid needs encrypt: true"),
        ({"objectownership": True, "objectacl": "private"}, "objectacl is not given with objectownership"),
        ({"v4auth": False}, "there is no signature version 2"),
        ({"pathstyle": True, "forcepathstyle": False}, "contradict each other"),
        ({"regionendpoint": "http://x", "accelerate": True}, "not with regionendpoint"),
        ({"regionendpoint": "http://x", "usedualstack": True}, "not with regionendpoint"),
        ({"accelerate": True, "usefipsendpoint": True}, "cannot be had together"),
        ({"accelerate": True, "pathstyle": True}, "accelerate needs pathstyle: false"),
        ({"bucket": "a/b"}, "without a path"),
        ({"bucket": "a--use1-az4--x-s3"}, "directory bucket"),
        ({"storageclass": "COLD"}, "one of NONE, STANDARD"),
        ({"objectacl": "mine"}, "one of private, public-read"),
        ({"checksum_algorithm": "MD5"}, "one of CRC32, CRC32C"),
        ({"loglevel": "loud"}, "loud is no log level"),
        ({"regionendpoint": "ftp://x"}, "a URL is needed"),
        ({"regionendpoint": "http://me:word@x"}, "credentials do not go into the URL"),
        ({"useragent": "a\nb"}, "printable ASCII"),
        ({"chunksize": 1}, "greater than or equal"),
        ({"multipartcopymaxconcurrency": 0}, "greater than or equal"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        section(**given)


def test_new_objects_have_what_is_asked_for_and_pieces_no_class() -> None:
    headers = ObjectHeaders.of(
        section(encrypt=True, keyid="arn:key", storageclass="intelligent_tiering", objectacl="bucket-owner-read")
    )
    assert headers.passing == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:key",
        "x-amz-acl": "bucket-owner-read",
    }
    assert headers.kept == {**headers.passing, "x-amz-storage-class": "INTELLIGENT_TIERING"}


@pytest.mark.parametrize("given", [{}, {"storageclass": "NONE"}, {"objectownership": True}, {"objectacl": "private"}])
def test_what_is_usual_is_not_sent(given: dict[str, object]) -> None:
    assert ObjectHeaders.of(section(**given)) == ObjectHeaders()


def test_encryption_by_the_services_own_key() -> None:
    assert ObjectHeaders.of(section(encrypt=True)).kept == {"x-amz-server-side-encryption": "AES256"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "CRC64NVME"),
        ({"regionendpoint": "http://x"}, ""),
        ({"regionendpoint": "http://x", "checksum_algorithm": "crc32"}, "CRC32"),
        ({"checksum_disabled": True}, ""),
        ({"checksum_disabled": True, "checksum_algorithm": "SHA1"}, ""),
    ],
)
def test_checksums_are_sent_to_aws_and_elsewhere_where_they_are_asked_for(given: dict[str, object], name: str) -> None:
    assert section(**given).checksum == name


@pytest.mark.parametrize("content", [b"", b"123456789", [b"1234", b"", b"56789"]])
def test_a_checksum_of_pieces_is_that_of_the_whole(content: bytes | list[bytes]) -> None:
    joined = content if isinstance(content, bytes) else b"".join(content)
    expected = {
        "CRC32": zlib.crc32(joined).to_bytes(4, "big"),
        "CRC32C": checksums.crc32c(joined).to_bytes(4, "big"),
        "CRC64NVME": checksums.crc64nvme(joined).to_bytes(8, "big"),
        "SHA1": hashlib.sha1(joined, usedforsecurity=False).digest(),
        "SHA256": hashlib.sha256(joined).digest(),
    }
    for name, value in expected.items():
        checksum = checksum_named(name, key="storage.s3")
        assert checksum is not None
        assert checksum.of(content) == base64.b64encode(value).decode()


def test_a_certificate_file_that_cannot_be_used_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match=r"AWS_CA_BUNDLE: .*gone\.pem cannot be used"):
        S3Bucket(section(accesskey="a", secretkey="b"))


def test_a_part_is_not_larger_than_memory_can_bear() -> None:
    assert S3Bucket(section(chunksize=1 << 30)).part_bytes == 64 << 20
    assert S3Bucket(section(chunksize=6 << 20)).part_bytes == 6 << 20
