"""§ Pushing blobs, monolithically and by mount: end-4a, end-4b, end-4c, end-6, end-11. Chunks have a file of their
own.
"""

import re
import threading

import pytest

from spec.expect import refused
from spec.wire import Wire, head
from support import images
from support.daemon import Daemon
from support.in_process import on_bucket
from support.registry_client import RegistryClient, path_of, with_query

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
BAD_DIGESTS = {
    "no-digest": "nonsense",
    "short": "sha256:abc",
    "upper": "sha256:" + "A" * 64,
    "md5": "md5:d41d8cd98f00b204e9800998ecf8427e",
    "unregistered": "x+y.z:" + "a" * 64,
    "empty": "",
}


class TestStartOfSession:
    """Upon success, the response MUST have a code of `202 Accepted`, and MUST include the following header:
    `Location: <blob-push-location>`.

    The `<blob-push-location>` MUST contain a UUID representing a unique session ID for the upload to follow.
    """

    def test_each_post_opens_a_session_of_its_own(self, registry: RegistryClient, repository: str) -> None:
        ids = set()
        for _ in range(3):
            response = registry.start_upload(repository)
            assert response.status == 202
            found = UUID.search(response.location)
            assert found is not None, response.location
            ids.add(found.group())
            assert response.headers["Docker-Upload-UUID"] == found.group()
            assert response.headers["Content-Length"] == "0"
            assert response.headers["Range"] == "0-0"
        assert len(ids) == 3

    def test_the_path_without_its_last_slash_works_too(self, registry: RegistryClient, repository: str) -> None:
        response = registry.request("POST", registry.url(repository, "blobs", "uploads"))
        assert response.status == 202

    def test_a_client_that_adds_its_digest_with_an_ampersand_is_understood(
        self, registry: RegistryClient, repository: str
    ) -> None:
        """Scripts do it: every ``Location`` of Distribution has a query already."""
        layer = images.blob(repository)
        started = registry.start_upload(repository)
        asked = registry.request("GET", started.location)
        skipped = registry.patch_upload(started.location, b"out of order", start=7)
        assert [answer.status for answer in (started, asked, skipped)] == [202, 204, 416]
        for answer in (started, asked, skipped):
            assert "?" in answer.location, answer.location
        closed = registry.request("PUT", f"{started.location}&digest={layer.digest}", body=layer.body)
        assert closed.status == 201

    def test_a_client_that_adds_its_digest_with_a_second_question_mark_is_understood(
        self, registry: RegistryClient, repository: str
    ) -> None:
        """Scripts written for registries whose first ``Location`` has no query do it."""
        layer, config = images.blob(repository), images.blob(f"{repository}/config")
        started = registry.start_upload(repository)
        closed = registry.request("PUT", f"{started.location}?digest={layer.digest}", body=layer.body)
        assert closed.status == 201
        sent = registry.patch_upload(registry.start_upload(repository).location, config.body, start=0)
        assert registry.request("PUT", f"{sent.location}?digest={layer.digest}").status == 400
        sent = registry.patch_upload(registry.start_upload(repository).location, config.body, start=0)
        assert registry.request("PUT", f"{sent.location}?digest={config.digest}").status == 201

    def test_a_minimum_chunk_size_is_named_where_storage_has_one(
        self, registry: RegistryClient, repository: str
    ) -> None:
        """If the registry has a minimum chunk size, the `POST` response SHOULD include `OCI-Chunk-Min-Length`."""
        said = registry.start_upload(repository).headers.get("OCI-Chunk-Min-Length")
        assert said == (str(5 << 20) if on_bucket() else "")


class TestPostThenPut:
    """Upon successful completion of the request, the response MUST have code `201 Created` and MUST have the following
    header: `Location: <blob-location>`. With `<blob-location>` being a pullable blob URL.
    """

    @pytest.mark.parametrize("size_bytes", [0, 1, 1000, (1 << 20) + 7])
    def test_the_location_gives_the_blob(self, registry: RegistryClient, repository: str, size_bytes: int) -> None:
        content = images.blob("post then put", size_bytes)
        closed = registry.close_upload(registry.start_upload(repository).location, content.digest, content.body)
        assert closed.status == 201
        assert closed.headers["Docker-Content-Digest"] == content.digest
        assert registry.request("GET", closed.location).body == content.body

    def test_a_body_in_chunked_transfer_coding_is_taken(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("chunked coding", 200_000)
        pieces = [content.body[at : at + 7777] for at in range(0, len(content.body), 7777)]
        closed = registry.close_upload(registry.start_upload(repository).location, content.digest, iter(pieces))
        assert closed.status == 201
        assert registry.get_blob(repository, content.digest).body == content.body

    def test_the_content_type_does_not_matter(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("without a type")
        target = with_query(registry.start_upload(repository).location, digest=content.digest)
        assert registry.request("PUT", target, body=content.body).status == 201

    def test_the_same_blob_can_be_pushed_again(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("twice")
        for _ in range(2):
            registry.push_blob(repository, content.body, content.digest)
        assert registry.get_blob(repository, content.digest).body == content.body

    def test_a_client_that_expects_100_is_told_to_continue(
        self, shared_address: str, registry: RegistryClient, repository: str
    ) -> None:
        """RFC 9110 § 10.1.1; curl and others wait for it before they send a large body."""
        content = images.blob("expect")
        target = with_query(path_of(registry.start_upload(repository).location), digest=content.digest)
        with Wire(shared_address) as wire:
            wire.send(head("PUT", target, f"Content-Length: {len(content.body)}", "Expect: 100-continue"))
            assert wire.read_line().startswith(b"HTTP/1.1 100")
            assert wire.read_line() == b"\r\n"
            wire.send(content.body)
            response = wire.read("PUT")
        assert response is not None
        assert response.status == 201


class TestSinglePost:
    """Successful completion of the request MUST return a `201 Created` and MUST include the following header:
    `Location: <blob-location>`.
    """

    @pytest.mark.parametrize("size_bytes", [0, 1, 100_000])
    def test_the_location_gives_the_blob(self, registry: RegistryClient, repository: str, size_bytes: int) -> None:
        content = images.blob("single post", size_bytes)
        response = registry.post_blob(repository, content.digest, content.body)
        assert response.status == 201
        assert response.headers["Docker-Content-Digest"] == content.digest
        assert registry.request("GET", response.location).body == content.body

    def test_a_body_in_chunked_transfer_coding_is_taken(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("single post chunked")
        assert registry.post_blob(repository, content.digest, iter([content.body])).status == 201

    def test_a_body_of_another_digest_is_refused(self, registry: RegistryClient, repository: str) -> None:
        wrong = images.missing_digest("single post")
        refused(registry.post_blob(repository, wrong, b"other bytes"), 400, "DIGEST_INVALID")
        assert registry.head_blob(repository, wrong).status == 404
        assert registry.head_blob(repository, images.digest_of(b"other bytes")).status == 404


class TestInvalidDigest:
    """In each implementation, if the client provided digest is invalid or uses an unsupported algorithm, the registry
    SHOULD respond with a response code `400 Bad Request`.
    """

    @pytest.mark.parametrize("digest", BAD_DIGESTS.values(), ids=BAD_DIGESTS)
    def test_at_the_end_of_a_session(self, registry: RegistryClient, repository: str, digest: str) -> None:
        location = registry.start_upload(repository).location
        refused(registry.close_upload(location, digest, b"bytes"), 400, "DIGEST_INVALID")

    @pytest.mark.parametrize("name", [name for name in BAD_DIGESTS if name != "empty"])
    def test_in_a_single_post(self, registry: RegistryClient, repository: str, name: str) -> None:
        refused(registry.post_blob(repository, BAD_DIGESTS[name], b"bytes"), 400, "DIGEST_INVALID")

    def test_a_digest_that_is_not_the_contents(self, registry: RegistryClient, repository: str) -> None:
        wrong = images.missing_digest("put")
        location = registry.start_upload(repository).location
        refused(registry.close_upload(location, wrong, b"other bytes"), 400, "DIGEST_INVALID")
        assert registry.head_blob(repository, wrong).status == 404
        assert registry.head_blob(repository, images.digest_of(b"other bytes")).status == 404

    def test_a_missing_digest_leaves_the_session_for_another_try(
        self, registry: RegistryClient, repository: str
    ) -> None:
        content = images.blob("digest missing")
        location = registry.patch_upload(registry.start_upload(repository).location, content.body).location
        refused(registry.request("PUT", location), 400, "DIGEST_INVALID")
        location = registry.upload_status(location).location
        assert registry.close_upload(location, content.digest).status == 201

    def test_an_algorithm_that_is_not_supported_at_the_start(self, registry: RegistryClient, repository: str) -> None:
        for name in ("md5", "sha1", "nonsense"):
            response = registry.start_upload(repository, {"digest-algorithm": name})
            refused(response, 400, "DIGEST_INVALID")


class TestDigestAlgorithm:
    """When pushing a blob with a digest algorithm other than `sha256`, the post request SHOULD include the
    `digest-algorithm` parameter.
    """

    def test_sha512_and_sha256_can_be_announced(self, registry: RegistryClient, repository: str) -> None:
        for algorithm in ("sha512", "sha256"):
            content = images.blob(f"announced {algorithm}", 5000)
            digest = images.digest_of(content.body, algorithm)
            location = registry.start_upload(repository, {"digest-algorithm": algorithm}).location
            location = registry.patch_upload(location, content.body[:2000], start=0).location
            closed = registry.close_upload(location, digest, content.body[2000:], start=2000)
            assert closed.status == 201
            assert closed.headers["Docker-Content-Digest"] == digest
            assert registry.request("GET", closed.location).body == content.body

    def test_sha512_works_also_unannounced(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("unannounced", 5000)
        digest = images.digest_of(content.body, "sha512")
        location = registry.patch_upload(registry.start_upload(repository).location, content.body).location
        assert registry.close_upload(location, digest).status == 201
        response = registry.get_blob(repository, digest)
        assert response.body == content.body
        assert response.headers["Docker-Content-Digest"] == digest

    def test_sha512_in_a_single_post(self, registry: RegistryClient, repository: str) -> None:
        digest = images.digest_of(b"single post", "sha512")
        assert registry.post_blob(repository, digest, b"single post").status == 201
        assert registry.head_blob(repository, digest).status == 200

    def test_a_wrong_sha512_is_refused(self, registry: RegistryClient, repository: str) -> None:
        location = registry.start_upload(repository, {"digest-algorithm": "sha512"}).location
        wrong = images.digest_of(b"something else", "sha512")
        refused(registry.close_upload(location, wrong, b"bytes"), 400, "DIGEST_INVALID")


class TestContentLength:
    """The `Content-Length` header MUST match the blob's actual content length."""

    @pytest.mark.parametrize("by_post", [False, True], ids=["put", "post"])
    def test_a_body_that_stops_short_makes_no_blob(
        self, shared_daemon: Daemon, registry: RegistryClient, repository: str, *, by_post: bool
    ) -> None:
        content = images.blob("short", 5000)
        started = (
            registry.url(repository, "blobs", "uploads", "") if by_post else registry.start_upload(repository).location
        )
        request = head(
            "POST" if by_post else "PUT",
            with_query(path_of(started), digest=content.digest),
            f"Content-Length: {len(content.body) + 100}",
        )
        with Wire(shared_daemon.address) as wire:
            wire.send(request + content.body)
            wire.half_close()
            response = wire.read("PUT")
        assert response is None or 400 <= response.status < 500
        assert registry.head_blob(repository, content.digest).status == 404

    def test_bytes_beyond_it_are_not_part_of_the_blob(
        self, shared_daemon: Daemon, registry: RegistryClient, repository: str
    ) -> None:
        content = images.blob("beyond", 5000)
        target = with_query(path_of(registry.start_upload(repository).location), digest=content.digest)
        with Wire(shared_daemon.address) as wire:
            wire.send(head("PUT", target, f"Content-Length: {len(content.body)}") + content.body + b"\x00junk\r\n\r\n")
            response = wire.read("PUT")
        # What follows is no request: the registry may refuse both, or answer the first and then hang up.
        assert response is None or response.status in {201, 400}
        found = registry.get_blob(repository, content.digest)
        assert (found.status, found.body) == (200, content.body) or found.status == 404
        assert response is None or response.status != 201 or found.status == 200


class TestTwoAtOnce:
    """If process A and B upload the same layer at the same time, both operations will proceed and the first to complete
    will be stored in the registry.
    """

    def test_two_sessions_side_by_side_both_succeed(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("side by side", 4000)
        locations = [registry.start_upload(repository).location for _ in range(2)]
        locations = [registry.patch_upload(location, content.body[:2000]).location for location in locations]
        locations = [registry.patch_upload(location, content.body[2000:]).location for location in locations]
        assert [registry.close_upload(location, content.digest).status for location in locations] == [201, 201]
        assert registry.get_blob(repository, content.digest).body == content.body

    def test_two_clients_that_send_at_once_both_succeed(self, shared_daemon: Daemon, repository: str) -> None:
        content = images.blob("at once", 2 << 20)
        statuses: list[int] = []

        def push() -> None:
            with RegistryClient(shared_daemon.address) as client:
                location = client.start_upload(repository).location
                statuses.append(client.close_upload(location, content.digest, content.body).status)

        threads = [threading.Thread(target=push) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert statuses == [201] * 4


class TestMount:
    """The response to a successful mount MUST be `201 Created`, and MUST contain the following header:
    `Location: <blob-location>`. The Docker-Content-Digest header returns the digest of the uploaded blob.
    """

    def test_a_blob_of_another_repository(self, registry: RegistryClient, repository: str) -> None:
        source = f"{repository}/source"
        content = images.blob("mount")
        registry.push_blob(source, content.body, content.digest)
        response = registry.mount_blob(repository, content.digest, source)
        assert response.status == 201
        assert response.headers["Docker-Content-Digest"] == content.digest
        assert path_of(response.location) == registry.url(repository, "blobs", content.digest)
        assert registry.request("GET", response.location).body == content.body

    def test_a_blob_of_the_same_repository(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("mount same")
        registry.push_blob(repository, content.body, content.digest)
        assert registry.mount_blob(repository, content.digest, repository).status == 201

    def test_a_mounted_blob_stays_when_the_source_loses_it(self, registry: RegistryClient, repository: str) -> None:
        source = f"{repository}/source"
        content = images.blob("mount and delete")
        registry.push_blob(source, content.body, content.digest)
        assert registry.mount_blob(repository, content.digest, source).status == 201
        assert registry.delete_blob(source, content.digest).status == 202
        assert registry.get_blob(repository, content.digest).body == content.body


class TestMountFallsBack:
    """Alternatively, if a registry does not support cross-repository mounting or is unable to mount the requested blob,
    it SHOULD return a `202`. This indicates that the upload session has begun and that the client MAY proceed with the
    upload.
    """

    @pytest.mark.parametrize("source", ["unknown/repository", "source", None], ids=["repository", "blob", "no-from"])
    def test_what_is_not_there_opens_a_session(
        self, registry: RegistryClient, repository: str, source: str | None
    ) -> None:
        content = images.blob(f"mount unknown from {source}")
        images.push_image(registry, f"{repository}/source", "latest")
        origin = f"{repository}/source" if source == "source" else source
        response = registry.mount_blob(repository, content.digest, origin)
        assert response.status == 202
        assert registry.head_blob(repository, content.digest).status == 404
        assert registry.close_upload(response.location, content.digest, content.body).status == 201

    def test_a_blob_that_the_source_does_not_have_is_not_mounted_from_a_third(
        self, registry: RegistryClient, repository: str
    ) -> None:
        content = images.blob("third repository")
        registry.push_blob(f"{repository}/third", content.body, content.digest)
        images.push_image(registry, f"{repository}/source", "latest")
        assert registry.mount_blob(repository, content.digest, f"{repository}/source").status == 202

    @pytest.mark.parametrize("source", ["Upper", "a..b", "../a"], ids=["upper", "dots", "climb"])
    def test_a_source_that_is_no_name_is_refused_or_opens_a_session(
        self, registry: RegistryClient, repository: str, source: str
    ) -> None:
        response = registry.mount_blob(repository, images.EMPTY.digest, source)
        if response.status != 202:
            refused(response, 400, "NAME_INVALID")

    def test_a_digest_that_is_none_is_refused_or_opens_a_session(
        self, registry: RegistryClient, repository: str
    ) -> None:
        response = registry.mount_blob(repository, "nonsense", repository)
        if response.status != 202:
            refused(response, 400, "DIGEST_INVALID")


class TestMountWithoutFrom:
    """The registry MAY treat the `from` parameter as optional, and it MAY cross-mount the blob if it can be found."""

    def test_a_known_blob_is_mounted_or_a_session_opened(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("mount anywhere")
        registry.push_blob(f"{repository}/source", content.body, content.digest)
        response = registry.mount_blob(repository, content.digest)
        assert response.status in {201, 202}
        mounted = registry.head_blob(repository, content.digest).status
        assert mounted == (200 if response.status == 201 else 404)
