"""JSON of strangers: read as Python reads it, in turns, and no further than there may be values."""

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from moorage.errors import ManifestInvalid
from moorage.metadata.details import Platform, platform_of
from moorage.oci import json_documents, stored
from moorage.oci.json_documents import SHORT_BYTES, VALUES_LIMIT, TooManyValues, let_go, read_json, write_json
from moorage.oci.manifests import decode, parse
from moorage.oci.mentions import mentions
from support.calls import counting_calls

if TYPE_CHECKING:
    from _typeshed import TraceFunction

MANY = 40_000
FLAT = {
    "numbers": "[" + ",".join("1" * MANY) + "]",
    "lists": "[" + ",".join(["[]"] * MANY) + "]",
    "texts": '{"a": [' + ",".join(['"b"'] * MANY) + "]}",
    "names": "{" + ",".join(f'"{number}": null' for number in range(MANY)) + "}",
}


@pytest.mark.parametrize("kind", FLAT)
def test_other_threads_have_a_turn_between_any_two_values_of_a_long_document(kind: str) -> None:
    value, calls = counting_calls(lambda: read_json(FLAT[kind]))
    assert value == json.loads(FLAT[kind])
    assert calls >= MANY


def most_freed_at_once(work: Callable[[], object]) -> int:
    """Blocks of memory that are freed between two lines of Python, at most: only there others can have their turn."""
    before, most = sys.getallocatedblocks(), 0

    def look() -> None:
        nonlocal before, most
        now = sys.getallocatedblocks()
        before, most = now, max(most, before - now)

    def note(frame: FrameType, event: str, argument: object) -> "TraceFunction | None":
        del event, argument
        look()
        return note if frame.f_globals["__name__"].startswith("moorage.") else None

    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(None)
    look()
    return most


@pytest.mark.parametrize("kind", ["lists", "names"])
def test_what_was_read_is_let_go_piece_by_piece(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "SHORT_BYTES", 1000)
    monkeypatch.setattr(json_documents, "_AT_ONCE", 500)
    monkeypatch.setattr(json_documents, "_PIECE", 50)
    inner = ",".join(FLAT[kind][1:-1].split(",")[:1000])
    payload = f'{{"layers": {FLAT[kind][0]}{inner}{FLAT[kind][-1]}}}'.encode()

    def shown() -> str:
        with stored.reading(payload) as value:
            return stored.shown_type(value)

    for work in (lambda: mentions(payload), shown, lambda: parse(payload, "application/vnd.example.v1+json")):
        assert most_freed_at_once(work) < 250
    held = [json.loads(payload)]
    assert most_freed_at_once(held.clear) > 900, "what is freed is not seen"


def test_a_document_that_is_let_go_leaves_what_was_read_of_it() -> None:
    digest = f"sha256:{1:064}"
    entry = {"mediaType": "a/b", "digest": digest, "size": 1, "annotations": {"a": "1"}, "urls": ["https://a"]}
    image = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": entry,
        "layers": [{**entry, "platform": {"os": "linux", "architecture": "arm"}}],
        "subject": entry,
        "annotations": {"b": "2"},
    }
    payload = json.dumps(image).encode()
    large = payload + b" " * SHORT_BYTES
    assert parse(large) == parse(payload)
    assert (parse(large).annotations, parse(large).references[1].descriptor.annotations) == ({"b": "2"}, {"a": "1"})
    assert mentions(large) == mentions(payload)
    configuration = b'{"architecture": "arm", "os": "linux"' + b" " * SHORT_BYTES + b"}"
    assert platform_of(configuration) == Platform("arm", "linux")


def test_everything_in_a_large_document_is_taken_apart_however_deep_it_is() -> None:
    deep: list[object] = [{"a": [[], {"b": [1, {}]}]}]
    inner = deep[0]
    let_go(deep, SHORT_BYTES + 1)
    assert (deep, inner) == ([], {})
    kept = {"a": [1]}
    let_go(kept, SHORT_BYTES)
    assert kept == {"a": [1]}


def test_much_is_written_in_turns_and_as_python_writes_it() -> None:
    value: dict[str, object] = {"a": {str(number): "é" for number in range(20_000)}, "b": [1, None, {}]}
    written, calls = counting_calls(lambda: write_json(value, parts=20_000, separators=(",", ":"), ensure_ascii=False))
    assert written == json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert calls >= 20_000


@pytest.mark.parametrize("ending", ["", "]", ',{"a": NaN}', ", tru]", ',"\\u12"]', ",1] 2"])
def test_what_is_no_json_is_told_in_the_same_words_however_long_it_is(ending: str) -> None:
    text = FLAT["numbers"][:-1] + ending

    def told(read: object) -> str:
        assert callable(read)
        try:
            return repr(read(text))
        except ValueError as exc:
            return str(exc)

    assert told(read_json) == told(json.loads)


def test_values_are_counted_wherever_they_stand_and_texts_are_not_looked_into() -> None:
    nested = '{"a": [1, {"b": 2}, []], "c": "' + "," * SHORT_BYTES + '"}'
    assert read_json(nested, values_limit=6) == json.loads(nested)
    with pytest.raises(TooManyValues):
        read_json(nested, values_limit=5)


def test_a_manifest_with_more_values_than_any_needs_is_refused_with_the_number() -> None:
    most = b'{"layers": [' + b",".join([b"0"] * (VALUES_LIMIT - 1)) + b"]}"
    assert len(str(decode(most))) > VALUES_LIMIT
    with pytest.raises(ManifestInvalid, match="more than 250000 values") as caught:
        decode(most.replace(b"[0", b"[0,0"))
    assert caught.value.detail == {"limit": VALUES_LIMIT}


def test_what_was_stored_with_more_values_than_may_be_pushed_still_keeps_what_it_names() -> None:
    digest = f"sha256:{1:064}"
    payload = f'{{"layers": [{"0," * (VALUES_LIMIT + 1)} {{"digest": "{digest}"}}]}}'.encode()
    assert [str(found) for found in mentions(payload).references] == [digest]
