import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import ParameterInvalid, Refused, UploadInvalid
from moorage.web.headers import Accepted, ChunkRange, chunk_range, matches_etag, next_link, page_size
from moorage.web.ranges import byte_ranges

DIGEST = "sha256:" + "a" * 64


def test_a_chunk_says_where_it_starts() -> None:
    assert chunk_range({}) is None
    for value in ("5-9", "bytes 5-9/*"):
        assert chunk_range({"Content-Range": value, "Content-Length": "5"}) == ChunkRange(5, is_consistent=True)
    assert chunk_range({"Content-Range": "5-9"}) == ChunkRange(5, is_consistent=True)


@pytest.mark.parametrize("value", ["9-5", "0-9"])
def test_a_chunk_that_contradicts_its_length_still_says_where_it_starts(value: str) -> None:
    found = chunk_range({"Content-Range": value, "Content-Length": "5"})
    assert found == ChunkRange(int(value[0]), is_consistent=False)


@pytest.mark.parametrize("value", ["x", "5-", "-5", "5-9-", "٥-٩", "1" * 400 + "-2"])
def test_a_malformed_chunk_range_is_refused(value: str) -> None:
    with pytest.raises(UploadInvalid):
        chunk_range({"Content-Range": value, "Content-Length": "5"})


@pytest.mark.parametrize("value", [f'"{DIGEST}"', DIGEST, f'W/"{DIGEST}"', f'"x", "{DIGEST}"', "*"])
def test_an_etag_matches_in_every_way_it_is_written(value: str) -> None:
    assert matches_etag([value] if value is not None else [], DIGEST)


@pytest.mark.parametrize("value", [None, "", '"x"', DIGEST[:-1]])
def test_another_etag_does_not_match(value: str | None) -> None:
    assert not matches_etag([value] if value is not None else [], DIGEST)


def test_accept_is_what_was_named_in_any_header_with_any_parameter() -> None:
    accepts = Accepted.parse(["a/b; q=0.5, C/D", "e/f"])
    assert accepts is not None
    assert accepts("a/b")
    assert accepts("c/d")
    assert accepts("e/f")
    assert not accepts("x/y")


@pytest.mark.parametrize("values", [[], [""], ["*/*"], ["application/json"], ["*/*;q=0.8, application/json"]])
def test_a_client_that_names_nothing_in_particular_did_not_say(values: list[str]) -> None:
    assert Accepted.parse(values) is None


def test_a_wildcard_beside_a_type_accepts_all() -> None:
    accepts = Accepted.parse(["a/b, */*"])
    assert accepts is not None
    assert accepts("x/y")


@pytest.mark.parametrize("text", ["-1", "a", "1.5", "", " 1", "1001", "9" * 5000, "١"])
def test_a_page_size_outside_its_range_is_refused(text: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        page_size([text], limit=1000)
    assert caught.value.detail["reason"] == "PAGINATION_NUMBER_INVALID"


def test_a_page_size_inside_is_read() -> None:
    assert [page_size(values, limit=1000) for values in ([], ["0"], ["1000"], ["5", "7"])] == [None, 0, 1000, 5]


def test_a_link_escapes_what_a_client_sent() -> None:
    assert next_link("/v2/a/tags/list", [("last", 'x">&'), ("n", "1")]) == (
        '</v2/a/tags/list?last=x%22%3E%26&n=1>; rel="next"'
    )


@given(st.text())
def test_no_header_value_raises_anything_but_our_errors(text: str) -> None:
    Accepted.parse([text])
    matches_etag([text], DIGEST)
    for read in (
        lambda: byte_ranges(text, 100),
        lambda: chunk_range({"Content-Range": text}),
        lambda: page_size([text], limit=9),
    ):
        try:
            read()
        except Refused as exc:
            assert exc.message
