"""Signatures of our own are those of the vendor's library, byte for byte."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from azure.storage.blob import _shared_access_signature as vendors
from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy
from hypothesis import given
from hypothesis import strategies as st

from moorage.storage.azure.shared_key import AccountKey
from moorage.storage.azure.signed_urls import VERSION, BlobAddress, read_url_query
from moorage.storage.remote.exchange import StoreCall

KEY = base64.b64encode(b"a key of sixty-four bytes").decode()
ACCOUNT = "images"
OURS = (
    "x-ms-date",
    "x-ms-version",
    "x-ms-range",
    "x-ms-blob-type",
    "x-ms-blob-content-type",
    "x-ms-copy-source",
    "x-ms-copy-source-authorization",
    "x-ms-source-range",
    "x-ms-meta-written",
    "x-ms-client-request-id",
    "If-Match",
    "If-None-Match",
    "Content-Type",
)
"""Headers that the driver sends."""
TEXT = st.text(st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
KEYS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)
QUERIES = st.dictionaries(st.sampled_from(["comp", "restype", "prefix", "blockid", "marker", "maxresults"]), KEYS)


def vendors_signature(call: StoreCall) -> str:
    request = HttpRequest(call.method, call.url, headers=dict(call.headers))
    if call.body:
        request.headers["Content-Length"] = str(len(call.body))
    asked: PipelineRequest[HttpRequest] = PipelineRequest(request, PipelineContext(None))
    policy: Any = SharedKeyCredentialPolicy  # It has no types.
    policy(ACCOUNT, KEY).on_request(asked)
    return str(request.headers["Authorization"])


METHODS_AND_BODIES = st.tuples(
    st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "POST"]), st.sampled_from([b"", b"a", bytes(1000)])
)


@given(METHODS_AND_BODIES, KEYS, QUERIES, st.dictionaries(st.sampled_from(OURS), TEXT))
def test_a_request_is_signed_as_the_vendor_signs_it(
    method_and_body: tuple[str, bytes], key: str, queries: dict[str, str], headers: dict[str, str]
) -> None:
    method, body = method_and_body
    url = f"https://{ACCOUNT}.blob.core.windows.net/registry/{quote(key, safe='/~')}"
    if queries:
        url += "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in queries.items())
    call = StoreCall(kind="Any", method=method, url=url, headers=headers, body=body)
    assert AccountKey.parse(ACCOUNT, KEY).authorization(call, headers) == vendors_signature(call)


@given(KEYS, st.integers(1, 10**6), st.booleans())
def test_a_url_is_signed_as_the_vendor_signs_it(key: str, expires_s: int, is_secure: bool) -> None:  # noqa: FBT001 - drawn
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    place = BlobAddress(account=ACCOUNT, container="registry", key=key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vendors, "X_MS_VERSION", VERSION)
        theirs = generate_blob_sas(
            ACCOUNT,
            "registry",
            key,
            account_key=KEY,
            permission=BlobSasPermissions(read=True),
            start=now - timedelta(minutes=5),
            expiry=now + timedelta(seconds=expires_s),
            protocol="https" if is_secure else "https,http",
        )
    ours = read_url_query(place, AccountKey.parse(ACCOUNT, KEY), now=now, expires_s=expires_s, is_secure=is_secure)
    assert sorted(parse_qsl(ours)) == sorted(parse_qsl(theirs))


@pytest.mark.parametrize("text", ["", "?", "a", "not base64!", "aGk"])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="base64") as raised:
        AccountKey.parse(ACCOUNT, text)
    assert len(text) < 2 or text not in str(raised.value)


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(AccountKey.parse(ACCOUNT, KEY))
    assert "sixty-four" not in repr(AccountKey.parse(ACCOUNT, KEY))
