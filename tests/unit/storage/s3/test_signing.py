"""Signatures are those that AWS's own code makes."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from moorage.storage.s3.signing import S3Credentials, Signer, in_path, in_query

MOMENT = datetime(2026, 11, 29, 9, 8, 7, tzinfo=UTC)
REGION = "eu-west-3"

KEYS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
WORDS = st.text(alphabet="abcXYZ-_.~ /+=&%é", max_size=12)
HEADER_NAMES = st.sampled_from(["x-amz-acl", "x-amz-copy-source", "content-md5", "if-match", "range", "content-type"])
HEADER_VALUES = st.text(alphabet='abc =/"*-', max_size=12)


def sides(token: str) -> tuple[S3Credentials, Credentials]:
    return S3Credentials("AKIDEXAMPLE", "secret/key+", token), Credentials("AKIDEXAMPLE", "secret/key+", token or None)


REQUESTS = st.tuples(
    st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE"]),
    KEYS,
    st.dictionaries(st.text(alphabet="abc-", min_size=1, max_size=6), WORDS, max_size=4),
    st.dictionaries(HEADER_NAMES, HEADER_VALUES, max_size=4),
)


@given(request=REQUESTS, token=st.sampled_from(["", "token=="]))
def test_a_header_is_what_the_vendors_code_makes(
    request: tuple[str, str, dict[str, str], dict[str, str]], token: str
) -> None:
    method, key, query, headers = request
    ours, theirs = sides(token)
    url = f"https://bucket.s3.example:9000/{in_path(key)}{'?' + in_query(query) if query else ''}"
    wanted = AWSRequest(method, url, headers=headers)
    sign_as_they_do(auth.S3SigV4Auth(theirs, "s3", REGION), wanted)
    signed = Signer(REGION).headers(method, url, headers, credentials=ours, moment=MOMENT)
    assert signed["authorization"] == wanted.headers["Authorization"]


def sign_as_they_do(signer: auth.SigV4Auth, request: AWSRequest) -> None:
    """As their ``add_auth``, at a moment that is given."""
    request.context["timestamp"] = MOMENT.strftime("%Y%m%dT%H%M%SZ")
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    signer._modify_request_before_signing(request)
    string = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(string, request))


@given(
    key=KEYS,
    expires_s=st.integers(1, 604_800),
    query=st.dictionaries(st.sampled_from(["response-content-type", "versionId"]), WORDS, max_size=2),
    token=st.sampled_from(["", "token=="]),
)
def test_a_url_is_what_the_vendors_code_makes(key: str, expires_s: int, query: dict[str, str], token: str) -> None:
    ours, theirs = sides(token)
    plain = f"https://s3.example/bucket/{in_path(key)}"
    request = AWSRequest("GET", f"{plain}{'?' + in_query(query) if query else ''}")
    sign_as_they_do(auth.S3SigV4QueryAuth(theirs, "s3", REGION, expires=expires_s), request)
    url = Signer(REGION).url(plain, credentials=ours, moment=MOMENT, expires_s=expires_s, query=query)
    assert urlsplit(url).path == urlsplit(request.url).path
    assert sorted(parse_qsl(urlsplit(url).query, keep_blank_values=True)) == sorted(
        parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
    )


def test_the_example_of_the_documentation_is_signed_as_there() -> None:
    """Source: sigv4-query-string-auth.html of AWS's S3 API reference."""
    url = Signer("us-east-1").url(
        "https://examplebucket.s3.amazonaws.com/test.txt",
        credentials=S3Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        moment=datetime(2013, 5, 24, tzinfo=UTC),
        expires_s=86400,
    )
    assert url.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_the_key_of_another_day_is_another() -> None:
    signer, (ours, _) = Signer(REGION), sides("")
    at = [
        signer.url("https://h/k", credentials=ours, moment=MOMENT + timedelta(days=day), expires_s=5)
        for day in (0, 1, 0)
    ]
    assert at[0] == at[2] != at[1]


@pytest.mark.parametrize(("shown", "hidden"), [("AKIDEXAMPLE", "secret/key+"), ("AKIDEXAMPLE", "token==")])
def test_credentials_do_not_show_their_secrets(shown: str, hidden: str) -> None:
    text = repr(sides("token==")[0])
    assert shown in text
    assert hidden not in text
