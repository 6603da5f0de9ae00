"""Answers read into the classes that they were made from, without pydantic."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moorage.api.collection_answers import CollectionRan, QueueDone
from moorage.api.history_answers import Counts, Entry, HistoryPage, Renamed, TagsDeleted
from moorage.client.reading import AnswerUnreadable, read_answer
from moorage.http.moorage_v1.answers import to_json
from moorage.metadata.words import JournalAction

ENTRY = Entry(
    id=7,
    at=datetime(2026, 11, 23, 15, tzinfo=UTC) + timedelta(microseconds=1),
    actor="ada",
    request_id="r",
    reason="",
    action=JournalAction.REPOSITORY_RENAME,
    repository="group/app",
    tag=None,
    before=None,
    after=None,
    renamed=Renamed(before="group/app", after="group/other"),
    restorable=True,
    restorable_until=datetime(2026, 11, 24, tzinfo=UTC),
)
DONE = QueueDone(reviewed=1, needed=0, removed=1, removed_bytes=5, failed=0, busy=0, left=0)


def fields_of(answer: Any) -> dict[str, object]:  # noqa: ANN401 - any of the classes
    """An answer as it can be compared: with what is below it."""
    return dataclasses.asdict(answer)


@pytest.mark.parametrize(
    "answer",
    [
        HistoryPage(entries=[ENTRY]),
        HistoryPage(entries=[]),
        CollectionRan(manifests=None, blobs=DONE, hurried=0),
        Counts(tag=1, manifest=2, blob=3, repository=4),
    ],
)
def test_what_the_registry_writes_is_read_as_it_was(answer: object) -> None:
    assert fields_of(read_answer(type(answer), json.loads(to_json(answer)))) == fields_of(answer)


def test_a_moment_is_written_in_utc_with_all_its_microseconds() -> None:
    written = json.loads(to_json(HistoryPage(entries=[ENTRY])))["entries"][0]
    assert (written["at"], written["restorable_until"]) == (
        "2026-11-23T15:00:00.000001Z",
        "2026-11-24T00:00:00.000000Z",
    )


def test_what_a_newer_registry_says_besides_is_left_out() -> None:
    value = json.loads(to_json(DONE)) | {"of_tomorrow": {"more": 1}}
    assert fields_of(read_answer(QueueDone, value)) == fields_of(DONE)


def entry(**changed: object) -> object:
    return {"entries": [json.loads(to_json(ENTRY)) | changed]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "the answer is None and should be an object"),
        ([], "the answer is [] and should be an object"),
        ({}, "entries is missing"),
        ({"entries": {}}, "entries is {} and should be a list"),
        ({"entries": [3]}, "entries[0] is 3 and should be an object"),
        (entry(id="7"), "entries[0].id is '7' and should be a whole number"),
        (entry(id=True), "entries[0].id is True and should be a whole number"),
        (entry(actor=None), "entries[0].actor is None and should be a string"),
        (entry(restorable="yes"), "entries[0].restorable is 'yes' and should be true or false"),
        (entry(at="yesterday"), "entries[0].at is 'yesterday' and should be a time with its offset"),
        (
            entry(at="2026-11-23T15:00:00"),
            "entries[0].at is '2026-11-23T15:00:00' and should be a time with its offset",
        ),
        (entry(at=5), "entries[0].at is 5 and should be a time with its offset"),
        (entry(renamed={"before": "a"}), "entries[0].renamed.after is missing"),
        (entry(action="tag_freeze"), "entries[0].action is 'tag_freeze' and should be one of tag_create, "),
        (entry(tag="x" * 200), ""),
    ],
)
def test_what_is_something_else_is_said_with_its_place(value: object, said: str) -> None:
    if not said:
        assert read_answer(HistoryPage, value).entries[0].tag == "x" * 200
        return
    with pytest.raises(AnswerUnreadable) as caught:
        read_answer(HistoryPage, value)
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 300


def test_a_word_that_may_be_one_of_a_few_is_one_of_them() -> None:
    deleted: dict[str, Any] = {"request_id": "r", "dry_run": 1}
    with pytest.raises(AnswerUnreadable, match="dry_run is 1 and should be true or false"):
        read_answer(TagsDeleted, deleted)
