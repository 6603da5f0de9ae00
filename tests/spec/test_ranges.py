"""§ Pulling blobs: "A registry SHOULD support the `Range` request header in accordance with RFC 9110 (section 14)"."""

import shutil
import subprocess

import pytest

from spec.expect import refused
from spec.wire import Wire, head
from support import images
from support.images import Content
from support.registry_client import Headers, RegistryClient, Response

SIZE_BYTES = 10_000


@pytest.fixture
def blob(registry: RegistryClient, repository: str) -> Content:
    content = images.blob(f"ranges of {repository}", SIZE_BYTES)
    registry.push_blob(repository, content.body, content.digest)
    return content


def get(registry: RegistryClient, repository: str, content: Content, value: str, **more: str) -> Response:
    headers = {"Range": value, **{name.replace("_", "-"): text for name, text in more.items()}}
    return registry.get_blob(repository, content.digest, headers=headers)


class TestSingleRange:
    """RFC 9110 § 15.3.7: "If a single part is being transferred, the server generating the 206 response MUST generate a
    Content-Range header field, describing what range of the selected representation is enclosed".
    """

    @pytest.mark.parametrize(
        ("value", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=0-9999", 0, 9999),
            ("bytes=500-1499", 500, 1499),
            ("bytes=500-", 500, 9999),
            ("bytes=9999-", 9999, 9999),
            ("bytes=2000-50000", 2000, 9999),
            ("bytes=-500", 9500, 9999),
            ("bytes=-50000", 0, 9999),
            ("bytes=0-99999999999999999999999", 0, 9999),
            ("Bytes=1-2", 1, 2),
        ],
    )
    def test_gives_that_part(
        self, registry: RegistryClient, repository: str, blob: Content, *, value: str, first: int, last: int
    ) -> None:
        response = get(registry, repository, blob, value)
        assert response.status == 206
        assert response.body == blob.body[first : last + 1]
        assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE_BYTES}"
        assert response.headers["Content-Length"] == str(last - first + 1)

    def test_the_digest_header_of_a_part_is_that_of_the_whole_or_left_out(
        self, registry: RegistryClient, repository: str, blob: Content
    ) -> None:
        response = get(registry, repository, blob, "bytes=0-9")
        assert response.headers.get("Docker-Content-Digest", blob.digest) == blob.digest

    def test_a_pull_that_was_cut_off_can_be_resumed(
        self, registry: RegistryClient, repository: str, blob: Content
    ) -> None:
        first = get(registry, repository, blob, "bytes=0-3999").body
        rest = get(registry, repository, blob, f"bytes={len(first)}-").body
        assert images.digest_of(first + rest) == blob.digest


class TestUnsatisfiableRange:
    """RFC 9110 § 15.5.17: "A server that generates a 416 response to a byte-range request SHOULD generate a
    Content-Range header field specifying the current length of the selected representation".
    """

    @pytest.mark.parametrize("value", ["bytes=10000-", "bytes=10000-10001", "bytes=99999999999999999999-", "bytes=-0"])
    def test_is_416_with_the_size(self, registry: RegistryClient, repository: str, blob: Content, value: str) -> None:
        response = get(registry, repository, blob, value)
        refused(response, 416)
        assert response.headers["Content-Range"] == f"bytes */{SIZE_BYTES}"

    def test_one_that_ends_before_it_begins_is_416(
        self, registry: RegistryClient, repository: str, blob: Content
    ) -> None:
        refused(get(registry, repository, blob, "bytes=500-0"), 416)

    @pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-0", "bytes=-1"])
    def test_of_an_empty_blob_is_all_of_it(self, registry: RegistryClient, repository: str, value: str) -> None:
        """Distribution's answer: some clients read every blob by ranges, and an artifact's config may be empty."""
        empty = images.blob("empty", 0)
        registry.push_blob(repository, empty.body, empty.digest)
        response = get(registry, repository, empty, value)
        assert (response.status, response.headers["Content-Length"]) == (200, "0")
        assert "Content-Range" not in response.headers


class TestIgnoredRange:
    """RFC 9110 § 14.2: "A server MAY ignore the Range header field"; "An origin server MUST ignore a Range header field
    that contains a range unit it does not understand".
    """

    @pytest.mark.parametrize("value", ["bytes=0-1,x", "items=0-1", "lines=1"])
    def test_malformed_lists_and_other_units_give_the_whole(
        self, registry: RegistryClient, repository: str, blob: Content, value: str
    ) -> None:
        response = get(registry, repository, blob, value)
        assert (response.status, response.body) == (200, blob.body)
        assert "Content-Range" not in response.headers

    @pytest.mark.parametrize(
        "value", ["bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes", "", "bytes=--1", "bytes=+1-2"]
    )
    def test_what_is_no_range_gives_the_whole_or_is_refused(
        self, registry: RegistryClient, repository: str, blob: Content, value: str
    ) -> None:
        response = get(registry, repository, blob, value)
        assert response.status in {200, 400, 416}
        assert response.status != 200 or response.body == blob.body

    def test_head_takes_no_range(self, registry: RegistryClient, repository: str, blob: Content) -> None:
        response = registry.head_blob(repository, blob.digest, headers={"Range": "bytes=0-9"})
        assert response.status == 200
        assert response.headers["Content-Length"] == str(SIZE_BYTES)


class TestAcceptRanges:
    """RFC 9110 § 14.3: "A server that supports byte-range requests for a given target resource MAY send
    `Accept-Ranges: bytes`".
    """

    def test_get_and_head_say_so(self, registry: RegistryClient, repository: str, blob: Content) -> None:
        assert registry.get_blob(repository, blob.digest).headers["Accept-Ranges"] == "bytes"
        assert registry.head_blob(repository, blob.digest).headers["Accept-Ranges"] == "bytes"


class TestIfRange:
    """RFC 9110 § 13.1.5: "A recipient of an If-Range header field MUST ignore the Range header field if the If-Range
    condition evaluates as false".
    """

    def test_the_blobs_own_tag_gives_the_part(self, registry: RegistryClient, repository: str, blob: Content) -> None:
        entity_tag = registry.head_blob(repository, blob.digest).headers["ETag"]
        assert get(registry, repository, blob, "bytes=0-9", If_Range=entity_tag).status == 206

    @pytest.mark.parametrize(
        "condition",
        ['"other"', 'W/"other"', "Sat, 01 Jan 2000 00:00:00 GMT", "nonsense"],
        ids=["strong", "weak", "date", "nonsense"],
    )
    def test_anything_else_gives_the_whole(
        self, registry: RegistryClient, repository: str, blob: Content, condition: str
    ) -> None:
        response = get(registry, repository, blob, "bytes=0-9", If_Range=condition)
        assert (response.status, response.body) == (200, blob.body)

    def test_a_weak_tag_never_matches(self, registry: RegistryClient, repository: str, blob: Content) -> None:
        response = get(registry, repository, blob, "bytes=0-9", If_Range=f'W/"{blob.digest}"')
        assert response.status == 200


class TestSeveralRanges:
    """RFC 9110 § 15.3.7.2: a response to several ranges is ``multipart/byteranges``."""

    @pytest.mark.parametrize("size_bytes", [10_000, 3_000_000], ids=["in one write", "by sendfile"])
    def test_come_as_parts(self, registry: RegistryClient, repository: str, size_bytes: int) -> None:
        content = images.blob(f"parts of {repository}", size_bytes)
        registry.push_blob(repository, content.body, content.digest)
        half = size_bytes // 2
        response = get(registry, repository, content, f"bytes=0-9,{half}-,99999999-")
        assert response.status == 206
        assert response.headers["Content-Length"] == str(len(response.body))
        assert parts_of(response.headers, response.body) == [content.body[:10], content.body[half:]]
        assert registry.get_blob(repository, content.digest).status == 200

    def test_that_touch_or_overlap_come_one_by_one(
        self, registry: RegistryClient, repository: str, blob: Content
    ) -> None:
        """ "MAY coalesce": podman counts the parts, and Distribution sends each."""
        response = get(registry, repository, blob, "bytes=200-299,0-99,100-199,50-59")
        assert response.status == 206
        body = blob.body
        assert parts_of(response.headers, response.body) == [body[200:300], body[:100], body[100:200], body[50:60]]

    def test_of_more_bytes_than_the_blob_give_the_whole(
        self, registry: RegistryClient, repository: str, blob: Content
    ) -> None:
        response = get(registry, repository, blob, "bytes=0-,0-,0-")
        assert (response.status, response.body) == (200, blob.body)

    @pytest.mark.parametrize("size_bytes", [10_000, 3_000_000], ids=["in one write", "by sendfile"])
    @pytest.mark.parametrize("keeps", [False, True], ids=["closed", "kept alive"])
    def test_come_over_http_1_0(
        self, registry: RegistryClient, repository: str, *, size_bytes: int, keeps: bool
    ) -> None:
        content = images.blob(f"old parts of {repository}", size_bytes)
        registry.push_blob(repository, content.body, content.digest)
        lines = ["Range: bytes=-9,0-4", *(["Connection: keep-alive"] if keeps else [])]
        asked = head("GET", registry.url(repository, "blobs", content.digest), *lines, version="1.0", host=None)
        with Wire(registry.address) as wire:
            for _ in range(1 + keeps):
                wire.send(asked)
                response = wire.read()
                assert response is not None
                assert (response.status, response.headers.get("Transfer-Encoding")) == (206, "")
                assert parts_of(response.headers, response.body) == [content.body[-9:], content.body[:5]]
            assert keeps or wire.is_ended()

    @pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
    @pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
    def test_come_to_curl(self, registry: RegistryClient, repository: str, blob: Content, version: str) -> None:
        url = f"http://{registry.address}{registry.url(repository, 'blobs', blob.digest)}"
        command = [
            "curl",
            "-q",
            "--noproxy",
            "*",
            "-fsS",
            "--max-time",
            "60",
            version,
            "-r",
            "0-9,500-509,-3",
            "-i",
            url,
        ]
        came = subprocess.run(command, check=True, capture_output=True, timeout=90).stdout
        top, _, body = came.partition(b"\r\n\r\n")
        first, *lines = top.decode().split("\r\n")
        assert first.split()[1] == "206"
        headers = Headers(tuple((line.partition(": ")[0], line.partition(": ")[2]) for line in lines))
        assert headers["Content-Length"] == str(len(body))
        assert parts_of(headers, body) == [blob.body[:10], blob.body[500:510], blob.body[-3:]]


def parts_of(headers: Headers, body: bytes) -> list[bytes]:
    """The bytes of each part of a ``multipart/byteranges``."""
    boundary = headers["Content-Type"].partition("boundary=")[2].encode()
    before, *parts, end = body.split(b"--" + boundary)
    assert (before, end) == (b"", b"--\r\n")
    return [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
