"""JSON of strangers: read as Python reads it, in turns, and no further than there may be values."""

import json

import pytest

from moorage.errors import ManifestInvalid
from moorage.oci.json_documents import VALUES_LIMIT, TooManyValues, read_json
from moorage.oci.manifests import decode
from moorage.oci.mentions import mentions
from support.calls import counting_calls

MANY = 30_000
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
    nested = '{"a": [1, {"b": 2}, []], "c": "' + "," * 40_000 + '"}'
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
