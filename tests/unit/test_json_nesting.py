"""JSON that is nested too deep is refused before it is read, at the same depth wherever it is read."""

import gc
import json
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage import json_nesting
from moorage.client.reading import AnswerUnreadable, read_json
from moorage.errors import ManifestInvalid
from moorage.json_nesting import NESTING_LIMIT, NestedTooDeep, parse_json, see_nesting
from moorage.oci import json_documents, manifests, mentions, stored
from moorage.oci.json_documents import SHORT_BYTES

LONG = "," * SHORT_BYTES
"""In a text: with it a document is read in turns."""
REFUSALS = (NestedTooDeep, AnswerUnreadable, ManifestInvalid)


def objects(depth: int, more: str = "") -> bytes:
    return f'{{"a":{"[" * (depth - 1)}{"]" * (depth - 1)},"b":"{more}"}}'.encode()


def in_stored(content: bytes) -> object:
    value = stored.read(content)
    if not value:
        raise NestedTooDeep
    return value


READERS: dict[str, Callable[[bytes], object]] = {
    "anything": parse_json,
    "an answer": read_json,
    "a document": lambda content: json_documents.read_json(content.decode()),
    "a document with few values": lambda content: json_documents.read_json(content.decode(), values_limit=100),
    "a manifest that is pushed": manifests.decode,
    "a manifest of any registry": mentions.mentions,
    "what is stored": in_stored,
}


def below(frames: int, work: Callable[[], object]) -> object:
    return work() if frames == 0 else below(frames - 1, work)


@pytest.mark.parametrize("more", ["", LONG], ids=["short", "long"])
@pytest.mark.parametrize("reader", READERS)
def test_the_limit_is_the_same_wherever_a_document_is_read(reader: str, more: str) -> None:
    read = READERS[reader]
    for frames in (0, 300):
        below(frames, lambda: read(objects(NESTING_LIMIT, more)))
        with pytest.raises(REFUSALS):
            below(frames, lambda: read(objects(NESTING_LIMIT + 1, more)))


@pytest.mark.parametrize("reader", READERS)
def test_what_is_tidied_up_while_a_document_is_read_is_tidied_up(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Near the end of the stack ``__del__``, and the ends of generators, have no room: files stayed open."""
    closed, faults, read = list[int](), list[object](), READERS[reader]

    class File:
        def __init__(self, number: int) -> None:
            self.number, self.itself = number, self

        def close(self) -> None:
            below(5, lambda: closed.append(self.number))

        def __del__(self) -> None:
            self.close()

    monkeypatch.setattr(sys, "unraisablehook", lambda fault: faults.append(fault.exc_value))
    content, thresholds, wanted = objects(100_000), gc.get_threshold(), range(700, 1000)
    try:
        for number in wanted:
            gc.collect(1)  # Not all there is: that takes seconds in a process that has loaded every test.
            File(number)
            gc.set_threshold(number, 1000, 1000)
            with pytest.raises(REFUSALS):
                read(content)
            gc.set_threshold(*thresholds)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert (faults, closed) == ([], list(wanted))


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


texts = st.text(alphabet='[]{}"\\,:a\u2022\U0001f600\n')
documents = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=30,
)


@given(value=documents, indent=st.sampled_from([None, 2]), is_ascii=st.booleans())
def test_brackets_count_where_they_are_no_text(*, value: object, indent: int | None, is_ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_nesting, "NESTING_LIMIT", 3)
        if depth_of(value) > 3:
            with pytest.raises(NestedTooDeep):
                see_nesting(text)
        else:
            see_nesting(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-le", "utf-8-sig"])
def test_no_encoding_hides_it(encoding: str) -> None:
    deep = json.dumps("\u2222\u5b22") + "," + "[" * (NESTING_LIMIT + 1)
    with pytest.raises(NestedTooDeep):
        parse_json(f"[{deep}".encode(encoding))
    assert parse_json('["\u2222"]'.encode(encoding)) == ["\u2222"]


@pytest.mark.parametrize("text", ["", "]" * 200, '"' + "[" * 200, "[" * 100 + "]" * 100, "{}" * 200, "\\" * 200 + "["])
def test_what_is_no_json_is_told_by_the_parser(text: str) -> None:
    see_nesting(text)
