"""Names, tags and digests: what they print is what they read, and nothing else raises but our own errors."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import DigestInvalid, NameInvalid, Refused, TagInvalid
from moorage.oci.digests import ALGORITHMS, Digest, Hasher
from moorage.oci.names import RepositoryName, Tag, parse_reference

component = st.from_regex(r"\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*\Z").filter(lambda text: len(text) < 60)
name = st.lists(component, min_size=1, max_size=4).map("/".join)
tag = st.from_regex(r"\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
digest = st.builds(Digest.of, st.binary(), st.sampled_from(ALGORITHMS))


@given(name)
def test_a_repository_name_of_the_grammar_reads_and_prints_the_same(text: str) -> None:
    assert str(RepositoryName.parse(text)) == text


@given(tag)
def test_a_tag_of_the_grammar_reads_and_prints_the_same(text: str) -> None:
    assert str(Tag.parse(text)) == text
    assert parse_reference(text) == Tag(text)


@given(digest)
def test_a_digest_reads_and_prints_the_same(value: Digest) -> None:
    assert Digest.parse(str(value)) == value
    assert parse_reference(str(value)) == value


@given(st.text())
def test_any_other_text_is_refused_with_an_error_of_ours(text: str) -> None:
    for parse in (RepositoryName.parse, Tag.parse, Digest.parse, parse_reference):
        try:
            value = parse(text)
        except Refused as exc:
            assert exc.message
        else:
            assert str(value) == text


@pytest.mark.parametrize(
    "text", ["", "A", "a//b", "/a", "a/", "a..b", "a_-b", "a___b", ".a", "a.", "é", "a\n", "a" * 256]
)
def test_names_outside_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        RepositoryName.parse(text)


@pytest.mark.parametrize("text", ["", ".a", "-a", "a/b", "a b", "a\n", "é", "a" * 129])
def test_tags_outside_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(TagInvalid):
        Tag.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sha256:", "64"),
        ("sha256:" + "A" * 64, "lower-case"),
        ("sha256:" + "a" * 63, "64"),
        ("sha256:" + "a" * 64 + "\n", "64"),
        ("sha512:" + "a" * 64, "128"),
        ("md5:" + "a" * 32, "not supported"),
        ("sha256", "64"),
        ("", "sha256:<64"),
        (":", "sha256:<64"),
    ],
)
def test_digests_outside_the_grammar_are_refused_and_told_what_is_right(text: str, says: str) -> None:
    with pytest.raises(DigestInvalid, match=says):
        Digest.parse(text)


@given(st.lists(st.binary()), st.sampled_from(ALGORITHMS))
def test_a_hasher_counts_and_hashes_what_passes_by(chunks: list[bytes], algorithm: str) -> None:
    hasher = Hasher("sha512" if algorithm == "sha512" else "sha256")
    for chunk in chunks:
        hasher.update(chunk)
    assert hasher.size_bytes == sum(map(len, chunks))
    assert hasher.digest() == Digest.of(b"".join(chunks), hasher.algorithm)


@given(st.text(alphabet=string.ascii_lowercase + "-_./", max_size=255))
def test_a_name_is_decided_in_linear_time(text: str) -> None:
    # Not timed: a backtracking pattern would hang on these long before the test's own deadline.
    for hostile in (text * 3, "a" * 255, "a-" * 127, "a__" * 85, "a/" * 127):
        try:
            RepositoryName.parse(hostile)
        except NameInvalid:
            continue
