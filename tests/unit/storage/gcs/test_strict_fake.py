"""The strict fake of Google Cloud Storage, asked by Google's own library and by hand: what emulators let pass."""

import json
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud.storage import Bucket, Client  # type: ignore[import-untyped]
from google.oauth2 import service_account

from support.gcs_fake import GCSFake
from support.gcs_objects import STEP_BYTES

MIB = 1 << 20


@pytest.fixture
def bucket(fake: GCSFake) -> Bucket:
    fake.make()
    credentials = service_account.Credentials.from_service_account_info(fake.key())  # type: ignore[no-untyped-call]
    client = Client("project", credentials, client_options={"api_endpoint": fake.url})
    return client.bucket("registry")


def ask(method: str, url: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body or None, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, dict(exc.headers), exc.read()


@pytest.fixture
def session(fake: GCSFake, bucket: Bucket) -> str:
    return str(bucket.blob("large").create_resumable_upload_session())


def test_the_vendors_library_writes_reads_and_removes(bucket: Bucket) -> None:
    blob = bucket.blob("a/b")
    session = blob.create_resumable_upload_session()
    assert ask("PUT", session, b"content", Content_Range="bytes 0-6/7")[0] == 200
    assert bucket.blob("a/b").download_as_bytes(checksum=None) == b"content"
    assert [found.name for found in bucket.list_blobs(prefix="a/")] == ["a/b"]
    blob.delete()
    with pytest.raises(NotFound):
        blob.reload()


def test_a_chunk_that_is_no_multiple_is_refused_and_a_status_query_ends_nothing(session: str) -> None:
    assert ask("PUT", session, bytes(1000), Content_Range="bytes 0-999/*")[0] == 400
    status, headers, _ = ask("PUT", session, bytes(STEP_BYTES), Content_Range=f"bytes 0-{STEP_BYTES - 1}/*")
    assert (status, headers["Range"]) == (308, f"bytes=0-{STEP_BYTES - 1}")
    assert "Location" not in headers
    for _ in range(2):
        status, headers, _ = ask("PUT", session, Content_Range="bytes */*")
        assert (status, headers["Range"]) == (308, f"bytes=0-{STEP_BYTES - 1}")


def test_a_session_that_was_cancelled_is_over(session: str) -> None:
    assert ask("DELETE", session)[0] == 499
    assert ask("PUT", session, Content_Range="bytes */*")[0] == 499


def test_a_write_for_another_generation_is_refused(bucket: Bucket) -> None:
    session = bucket.blob("a").create_resumable_upload_session()
    assert ask("PUT", session, b"1", Content_Range="bytes 0-0/1")[0] == 200
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").delete(if_generation_match=17)
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").create_resumable_upload_session(if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("b").compose([bucket.blob("a")], if_generation_match=17)


def test_a_large_object_is_rewritten_in_rounds(fake: GCSFake, bucket: Bucket) -> None:
    fake.buckets["registry"].store("large", bytes(MIB + 1), "application/octet-stream")
    token, done, size = bucket.blob("copy").rewrite(bucket.blob("large"))
    assert (token is not None, done, size) == (True, MIB, MIB + 1)
    assert not bucket.blob("copy").exists()
    assert bucket.blob("copy").rewrite(bucket.blob("large"), token=token) == (None, MIB + 1, MIB + 1)
    assert bucket.blob("copy").exists()


def test_a_page_counts_folders_too(fake: GCSFake, bucket: Bucket) -> None:
    for name in ("f/a", "f/b/c", "f/b/d", "f/e", "g"):
        fake.buckets["registry"].store(name, b"", "")
    pages = bucket.list_blobs(prefix="f/", delimiter="/", max_results=None, page_size=2, start_offset="f/a")
    found = [([blob.name for blob in page], sorted(page.prefixes)) for page in pages.pages]
    assert found == [(["f/a"], ["f/b/"]), (["f/e"], [])]


def test_a_batch_has_an_answer_for_each(fake: GCSFake, bucket: Bucket) -> None:
    fake.buckets["registry"].store("a", b"", "")
    missing: list[object] = []
    bucket.delete_blobs(["a", "none"], on_error=missing.append)
    assert missing == ["none"]
    with bucket.client.batch(raise_exception=False):
        bucket.blob("b").delete()
    assert not fake.buckets["registry"].objects


@pytest.mark.parametrize("name", ["plain", "a b+c%2F\u00e4~"])
def test_a_url_that_the_vendors_library_signed_is_good_until_it_is_tampered_with(
    fake: GCSFake, bucket: Bucket, name: str
) -> None:
    fake.buckets["registry"].store(name, b"content", "application/octet-stream")
    url = bucket.blob(name).generate_signed_url(timedelta(minutes=5), version="v4", api_access_endpoint=fake.url)
    assert ask("GET", url)[::2] == (200, b"content")
    assert ask("GET", url.replace("X-Goog-Expires=300", "X-Goog-Expires=301"))[0] == 403
    assert ask("DELETE", url)[0] == 403


def test_nothing_is_given_without_a_token(fake: GCSFake, bucket: Bucket) -> None:
    status, _, said = ask("GET", f"{fake.url}/storage/v1/b/registry/o")
    assert (status, json.loads(said)["error"]["errors"][0]["reason"]) == (401, "authError")
