"""Refusals by protected and immutable tags are told to a receiver that wants them, and to no other."""

import json
from pathlib import Path

from moorage.notifications.events import Audience, Listener, Notice
from spec.expect import reason_of
from support.images import image, push_blobs, push_image
from support.in_process import InProcess
from support.registry_client import RegistryClient
from support.tokens import Issuer, protecting

NAME = "group/app"


def test_a_refusal_by_a_rule_is_told_once_a_minute_with_who_what_and_why(tmp_path: Path) -> None:
    told: list[Notice] = []
    listeners = (Listener(name="control", hears_refusals=True), Listener(name="other"))
    issuer = Issuer(tmp_path)
    made = image("refused")
    with (
        InProcess(None, guard=issuer.guard(), audience=Audience(listeners=listeners, tell=told.extend)) as registry,
        RegistryClient(registry.address, headers=issuer.bearer((NAME, "*"))) as free,
        RegistryClient(
            registry.address, headers=issuer.bearer((NAME, "*"), meta={NAME: protecting(push=("^v",))})
        ) as bound,
    ):
        push_image(free, NAME, "v1", made)
        push_blobs(bound, NAME, made.blobs)
        told.clear()
        for _ in range(3):
            answer = bound.put_manifest(NAME, "v2", made.manifest.body, made.manifest.media_type)
            assert (answer.status, reason_of(answer)) == (403, "PROTECTED_TAG")
        (notice,) = told
    event = json.loads(notice.payload)
    assert (notice.endpoint, notice.action, event["action"]) == ("control", "refuse", "refuse")
    assert event["target"] == {"tag": "v2", "repository": NAME}
    assert event["request"]["method"] == "PUT"
    assert event["meta"]["refusal"]["reason"] == "PROTECTED_TAG"
    assert "is protected" in event["meta"]["refusal"]["message"]


def test_an_endpoint_hears_of_refusals_only_if_it_wants_to() -> None:
    assert [Listener(name="x", hears_refusals=wants).wants("refuse", "") for wants in (False, True)] == [False, True]
    assert not Listener(name="x", hears_refusals=True, ignored_actions=frozenset({"refuse"})).wants("refuse", "")
