"""§ Pushing a blob in chunks and § Cancel a blob upload: end-5, end-6, end-13, end-14."""

import uuid

import pytest

from spec.expect import reason_of, refused
from support import images
from support.registry_client import OCTETS, RegistryClient, path_of, with_query

BAD_CONTENT_RANGES = {
    "letters": "a-b",
    "words": "nonsense",
    "open": "0-",
    "suffix": "-9",
    "negative": "-1-8",
    "backwards": "9-0",
    "overflow": f"0-{10**400}",
    "overflow-start": f"{10**400}-{10**400 + 9}",
    "float": "0.0-9.0",
    "hex": "0x0-0x9",
    "signed": "+0-+9",
    "underscore": "0-0_9",
    "spaces": "0 - 9",
    "several": "0-4,5-9",
    "empty": "",
    "other-digits": "\N{ARABIC-INDIC DIGIT ZERO}-9".encode().decode("latin-1"),
}


def split(content: bytes, size_bytes: int) -> list[bytes]:
    return [content[at : at + size_bytes] for at in range(0, len(content), size_bytes)]


class TestChunks:
    """The response for each successful chunk upload MUST be `202 Accepted`, and MUST have the following headers:
    `Location: <blob-push-location>` and `Range: 0-<end-of-range>`.

    The `<end-of-range>` value is the position of the last uploaded byte of the blob, matching the end value of the
    `Content-Range` in the request.
    """

    @pytest.mark.parametrize("chunk_bytes", [1, 999, 5000, 10_000])
    def test_each_says_how_far_the_upload_is(self, registry: RegistryClient, repository: str, chunk_bytes: int) -> None:
        content = images.blob(f"chunks of {chunk_bytes}", min(10_000, chunk_bytes * 11))
        location, sent = registry.start_upload(repository).location, 0
        for chunk in split(content.body, chunk_bytes):
            response = registry.patch_upload(location, chunk, start=sent)
            sent += len(chunk)
            assert response.status == 202
            assert response.headers["Range"] == f"0-{sent - 1}"
            assert response.headers["Docker-Upload-UUID"] in path_of(response.location)
            location = response.location
        closed = registry.close_upload(location, content.digest)
        assert closed.status == 201
        assert registry.request("GET", closed.location).body == content.body

    def test_the_first_location_serves_for_all_chunks(self, registry: RegistryClient, repository: str) -> None:
        """Each consecutive chunk upload SHOULD use the `<blob-push-location>` of the previous one; some clients do
        not.
        """
        content = images.blob("same location", 3000)
        location = registry.start_upload(repository).location
        for number, chunk in enumerate(split(content.body, 1000)):
            assert registry.patch_upload(location, chunk, start=number * 1000).status == 202
        assert registry.close_upload(location, content.digest).status == 201

    def test_an_empty_chunk_changes_nothing(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("empty chunk")
        location = registry.patch_upload(registry.start_upload(repository).location, b"").location
        location = registry.patch_upload(location, content.body, start=0).location
        location = registry.patch_upload(location, b"").location
        assert registry.close_upload(location, content.digest).status == 201


class TestStream:
    """Docker's way, and the conformance suite's "stream": one PATCH without Content-Range, often in chunked coding."""

    def test_without_content_range(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("stream", 100_000)
        response = registry.patch_upload(registry.start_upload(repository).location, content.body)
        assert response.status == 202
        assert response.headers["Range"] == f"0-{len(content.body) - 1}"
        assert registry.close_upload(response.location, content.digest).status == 201

    @pytest.mark.parametrize("piece_bytes", [100, 65_536, 1_000_000])
    def test_in_chunked_transfer_coding(self, registry: RegistryClient, repository: str, piece_bytes: int) -> None:
        content = images.blob(f"stream by {piece_bytes}", min(2_000_000, piece_bytes * 50))
        response = registry.patch_upload(
            registry.start_upload(repository).location, iter(split(content.body, piece_bytes))
        )
        assert response.status == 202
        assert response.headers["Range"] == f"0-{len(content.body) - 1}"
        assert registry.close_upload(response.location, content.digest).status == 201
        assert registry.get_blob(repository, content.digest).body == content.body

    def test_in_chunked_transfer_coding_with_content_range(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("stream with range", 3000)
        location = registry.start_upload(repository).location
        for number, chunk in enumerate(split(content.body, 1000)):
            headers = {"Content-Range": f"{number * 1000}-{number * 1000 + 999}", "Content-Type": OCTETS}
            response = registry.request("PATCH", location, body=iter([chunk]), headers=headers)
            assert response.status == 202
            location = response.location
        assert registry.close_upload(location, content.digest).status == 201

    def test_several_follow_each_other(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("streams", 3000)
        location = registry.start_upload(repository).location
        for chunk in split(content.body, 1000):
            location = registry.patch_upload(location, chunk).location
        assert registry.close_upload(location, content.digest).status == 201


class TestOrder:
    """Chunks MUST be uploaded in order, with the first byte of a chunk being the last chunk's `<end-of-range>` plus
    one. If a chunk is uploaded out of order, the registry MUST respond with a `416 Requested Range Not Satisfiable`
    code. A GET request may be used to retrieve the current valid offset and upload location.
    """

    @pytest.mark.parametrize("start", [0, 999, 1001, 5000, 10**18], ids=str)
    def test_a_chunk_out_of_order_is_416_and_the_upload_goes_on_where_it_was(
        self, registry: RegistryClient, repository: str, start: int
    ) -> None:
        content = images.blob("out of order", 3000)
        location = registry.patch_upload(
            registry.start_upload(repository).location, content.body[:1000], start=0
        ).location
        response = registry.patch_upload(location, content.body[1000:2000], start=start)
        refused(response, 416, "BLOB_UPLOAD_INVALID")
        assert reason_of(response) == "CONTENT_RANGE_INVALID"
        status = registry.upload_status(location)
        assert status.status == 204
        assert status.headers["Range"] == "0-999"
        location = registry.patch_upload(status.location, content.body[1000:], start=1000).location
        assert registry.close_upload(location, content.digest).status == 201
        assert registry.get_blob(repository, content.digest).body == content.body

    def test_the_first_chunk_begins_with_0(self, registry: RegistryClient, repository: str) -> None:
        """The first chunk's range MUST begin with `0`."""
        location = registry.start_upload(repository).location
        refused(registry.patch_upload(location, b"0123456789", start=1), 416, "BLOB_UPLOAD_INVALID")
        assert registry.patch_upload(location, b"0123456789", start=0).status == 202

    def test_a_chunk_sent_twice_is_416(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("sent twice")
        location = registry.patch_upload(registry.start_upload(repository).location, content.body, start=0).location
        refused(registry.patch_upload(location, content.body, start=0), 416, "BLOB_UPLOAD_INVALID")
        assert registry.close_upload(location, content.digest).status == 201

    def test_a_final_chunk_out_of_order_is_416(self, registry: RegistryClient, repository: str) -> None:
        """If the final chunk is uploaded out of order, the registry MUST respond with a `416 Requested Range Not
        Satisfiable` code.
        """
        content = images.blob("final out of order", 2000)
        location = registry.patch_upload(
            registry.start_upload(repository).location, content.body[:1000], start=0
        ).location
        for start in (0, 999, 1001):
            response = registry.close_upload(location, content.digest, content.body[1000:], start=start)
            refused(response, 416, "BLOB_UPLOAD_INVALID")
        location = registry.upload_status(location).location
        assert registry.close_upload(location, content.digest, content.body[1000:], start=1000).status == 201


class TestContentRange:
    """The `<range>` refers to the byte range of the chunk, and MUST be inclusive on both ends. It MUST match the
    following regular expression: `^[0-9]+-[0-9]+$`
    """

    @pytest.mark.parametrize("value", BAD_CONTENT_RANGES.values(), ids=BAD_CONTENT_RANGES)
    @pytest.mark.parametrize("method", ["PATCH", "PUT"])
    def test_anything_else_is_refused_and_nothing_is_written(
        self, registry: RegistryClient, repository: str, value: str, method: str
    ) -> None:
        content = images.blob("content range", 10)
        location = registry.start_upload(repository).location
        target = with_query(location, digest=content.digest) if method == "PUT" else location
        headers = {"Content-Range": value, "Content-Type": OCTETS}
        response = registry.request(method, target, body=content.body, headers=headers)
        refused(response, {400, 416}, {"BLOB_UPLOAD_INVALID", "SIZE_INVALID"})
        status = registry.upload_status(location)
        assert (status.status, status.headers["Range"]) == (204, "0-0")
        assert registry.close_upload(status.location, content.digest, content.body).status == 201

    @pytest.mark.parametrize("end", [8, 10, 10**6])
    def test_a_range_that_is_not_as_long_as_the_chunk_is_refused(
        self, registry: RegistryClient, repository: str, end: int
    ) -> None:
        """The `<length>` is the content-length, in bytes, of the current chunk."""
        location = registry.start_upload(repository).location
        headers = {"Content-Range": f"0-{end}", "Content-Type": OCTETS}
        response = registry.request("PATCH", location, body=b"0123456789", headers=headers)
        refused(response, {400, 416}, {"SIZE_INVALID", "BLOB_UPLOAD_INVALID"})


class TestFinalChunk:
    """The final chunk MAY be uploaded using a `PATCH` request or it MAY be uploaded in the closing `PUT` request."""

    @pytest.mark.parametrize("ranged", [True, False], ids=["content-range", "no-content-range"])
    def test_in_the_closing_put(self, registry: RegistryClient, repository: str, *, ranged: bool) -> None:
        content = images.blob(f"final chunk {ranged}", 2500)
        location = registry.patch_upload(
            registry.start_upload(repository).location, content.body[:1000], start=0
        ).location
        start = 1000 if ranged else None
        closed = registry.close_upload(location, content.digest, content.body[1000:], start=start)
        assert closed.status == 201
        assert registry.request("GET", closed.location).body == content.body

    def test_in_the_closing_put_in_chunked_coding(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("final chunk coded", 2500)
        location = registry.patch_upload(
            registry.start_upload(repository).location, content.body[:1000], start=0
        ).location
        assert registry.close_upload(location, content.digest, iter([content.body[1000:]])).status == 201

    def test_the_whole_blob_in_the_closing_put_with_its_range(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("all in the put")
        location = registry.start_upload(repository).location
        assert registry.close_upload(location, content.digest, content.body, start=0).status == 201


class TestClosing:
    """The closing `PUT` request MUST include the `<digest>` of the whole blob (not the final chunk) as a query
    parameter. The session MUST be closed with a `PUT` request.
    """

    def test_the_digest_of_the_final_chunk_is_refused(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("digest of the whole", 2000)
        location = registry.patch_upload(
            registry.start_upload(repository).location, content.body[:1000], start=0
        ).location
        final = content.body[1000:]
        response = registry.close_upload(location, images.digest_of(final), final, start=1000)
        refused(response, 400, "DIGEST_INVALID")

    def test_without_it_there_is_no_blob(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("never closed")
        registry.patch_upload(registry.start_upload(repository).location, content.body, start=0)
        assert registry.head_blob(repository, content.digest).status == 404

    def test_after_it_there_is_no_session(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("closed")
        location = registry.start_upload(repository).location
        assert registry.close_upload(location, content.digest, content.body).status == 201
        refused(registry.upload_status(location), 404, {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"})


class TestStatus:
    """The response to an active upload `<blob-push-location>` MUST be a `204 No Content` response code, and MUST have
    the following headers: `Location: <blob-push-location>` and `Range: 0-<end-of-range>`.
    """

    def test_of_a_session_without_and_with_bytes(self, registry: RegistryClient, repository: str) -> None:
        location = registry.start_upload(repository).location
        for sent, expected in ((b"", "0-0"), (b"0123456789", "0-9"), (b"0123456789", "0-19")):
            if sent:
                location = registry.patch_upload(location, sent).location
            status = registry.upload_status(location)
            assert status.status == 204
            assert status.headers["Range"] == expected
            assert status.headers["Docker-Upload-UUID"] in path_of(status.location)
            location = status.location

    def test_head_says_the_same(self, registry: RegistryClient, repository: str) -> None:
        location = registry.patch_upload(registry.start_upload(repository).location, b"0123456789").location
        response = registry.request("HEAD", location)
        assert (response.status, response.headers["Range"]) == (204, "0-9")


class TestCancel:
    """During a blob upload, the session may be canceled with a `DELETE` request. If successful, the response SHOULD
    be a `204 No Content` response code.
    """

    @pytest.mark.parametrize("sent", [b"", b"0123456789"], ids=["empty", "with-bytes"])
    def test_ends_the_session(self, registry: RegistryClient, repository: str, sent: bytes) -> None:
        location = registry.start_upload(repository).location
        if sent:
            location = registry.patch_upload(location, sent).location
        assert registry.cancel_upload(location).status == 204
        codes = {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"}
        refused(registry.upload_status(location), 404, codes)
        refused(registry.patch_upload(location, b"more"), 404, codes)
        refused(registry.close_upload(location, images.digest_of(sent)), 404, codes)
        refused(registry.cancel_upload(location), 404, codes)

    def test_other_sessions_go_on(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("other session")
        cancelled, kept = (registry.start_upload(repository).location for _ in range(2))
        assert registry.cancel_upload(cancelled).status == 204
        assert registry.close_upload(kept, content.digest, content.body).status == 201


class TestUnknownSession:
    """end-5, end-6, end-13, end-14: failure `404`."""

    def test_every_method_on_it_is_404(self, registry: RegistryClient, repository: str) -> None:
        registry.start_upload(repository)
        location = registry.url(repository, "blobs", "uploads", str(uuid.UUID(int=1 << 77, version=4)))
        codes = {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"}
        refused(registry.upload_status(location), 404, codes)
        refused(registry.patch_upload(location, b"bytes"), 404, codes)
        refused(registry.close_upload(location, images.digest_of(b"bytes"), b"bytes"), 404, codes)
        refused(registry.cancel_upload(location), 404, codes)

    def test_the_session_of_another_repository_is_404(self, registry: RegistryClient, repository: str) -> None:
        location = path_of(registry.start_upload(repository).location)
        elsewhere = location.replace(f"/{repository}/", f"/{repository}/elsewhere/")
        codes = {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"}
        refused(registry.patch_upload(elsewhere, b"bytes"), 404, codes)
        refused(registry.cancel_upload(elsewhere), 404, codes)
        assert registry.upload_status(location).status == 204
