"""The intake of the registry's notifications: the secret, the forms that are refused, and what is learnt."""

import json
import logging

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from moorage.control.api.events import receive_events
from moorage.control.audit.models import AuditEntry
from moorage.control.events.intake import EventKind, is_from_registry, read_events, take_in
from moorage.control.images.models import ImageRepository
from moorage.control.images.owning import project_at
from moorage.control.tokens.models import AccessRefusal
from moorage.gitlab_site.site_paths import EVENTS_PATH
from support.control_rows import new_project

SECRET = "secret-of-events"
MEDIA_TYPE = "application/vnd.docker.distribution.events.v1+json"


def event(action: str, path: str, **target: str) -> dict[str, object]:
    return {"id": "x", "action": action, "target": {"repository": path, **target}, "actor": {"name": "ada"}}


def body_of(*events: object) -> bytes:
    return json.dumps({"events": events}).encode()


def posted(body: bytes, *, secret: str = SECRET, media_type: str = MEDIA_TYPE) -> HttpResponse:
    request = RequestFactory().post(EVENTS_PATH, body, content_type=media_type, headers={"Authorization": secret})
    return receive_events(request)


def test_only_who_knows_the_secret_is_listened_to() -> None:
    assert [
        posted(body_of(), secret=given).status_code for given in (SECRET, "", "wrong", f"{SECRET}x", "s\u00e9")
    ] == [
        200,
        401,
        401,
        401,
        401,
    ]
    assert not is_from_registry("", "")
    assert receive_events(RequestFactory().get(EVENTS_PATH)).status_code == 405


def test_the_route_is_there_and_asks_for_no_cookie() -> None:
    sent = {"content_type": MEDIA_TYPE, "headers": {"Authorization": SECRET}}
    assert Client(enforce_csrf_checks=True).post(EVENTS_PATH, body_of(), **sent).status_code == 200  # type: ignore[arg-type] # by names


def test_a_push_makes_the_record_and_a_second_one_none() -> None:
    project = new_project()
    pushed = event("push", f"{project.full_path}/web/x", tag="1")
    assert posted(body_of(pushed, pushed, event("pull", "g/p"))).status_code == 200
    assert [found.name for found in ImageRepository.objects.of_project(project)] == ["web/x"]
    more = [event("push", project.full_path), event("delete", project.full_path)]
    counts = take_in(read_events(body_of(pushed, *more)))
    assert counts == {
        EventKind.PUSH_TAG: 1,
        EventKind.PUSH_REPOSITORY: 1,
        EventKind.CREATE_REPOSITORY: 1,
        EventKind.DELETE_REPOSITORY: 1,
    }


def test_a_repository_of_no_project_is_counted_and_not_recorded() -> None:
    counts = take_in(read_events(body_of(event("push", "nobody/app", tag="1"), event("delete", "nobody/app", tag="1"))))
    assert counts == {EventKind.PUSH_TAG: 1, EventKind.DELETE_TAG: 1}
    assert not ImageRepository.objects.exists()


def test_the_project_is_that_of_the_path_or_of_two_levels_above() -> None:
    project = new_project()
    below = [f"{project.full_path}{rest}" for rest in ("", "/a", "/a/b", "/a/b/c")]
    assert [project_at(path) == project for path in below] == [True, True, True, False]


@pytest.mark.parametrize(
    "body", [b" ", b"no JSON", b"[]", b"{}", b'{"events": {}}', b'{"events": [1]}', b"[" * 100_000]
)
def test_what_are_no_events_is_refused(body: bytes) -> None:
    found = posted(body)
    assert (found.status_code, json.loads(found.content)) == (400, {"error": "events is missing or invalid"})


def test_a_path_that_no_repository_has_is_refused() -> None:
    for path in ("", "Not/Valid", "a//b", "../etc"):
        assert posted(body_of(event("push", path))).status_code == 400
    # Other actions are not looked at.
    assert posted(body_of(event("pull", ""))).status_code == 200


def test_a_form_or_a_body_of_any_size_is_refused() -> None:
    logging.getLogger("django.security").setLevel(logging.CRITICAL)
    assert posted(b"events=1", media_type="application/x-www-form-urlencoded").status_code == 406
    assert posted(b" " * ((1 << 20) + 1)).status_code == 413


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"], ids=ascii)
def test_a_name_that_no_database_keeps_is_no_fault_of_ours(odd: str) -> None:
    """Tell of it in each field that is kept: the registry would send the events of a repository for ever."""
    project = new_project()
    said = {"actor": {"name": odd, "user_type": odd}, "request": {"id": odd, "method": odd}}
    refusal = {"meta": {"refusal": {"message": odd, "reason": odd}}}
    told = [event("push", project.full_path, tag=odd) | said, event("refuse", project.full_path) | said | refusal]
    assert posted(body_of(*told)).status_code == 200
    assert ImageRepository.objects.of_project(project).count() == 1
    assert [row.shown for row in AccessRefusal.objects.of_project(project)] == ["a\ufffdb"]
    assert [row.actor_name for row in AuditEntry.objects.filter(action="container_repository_created")] == ["a\ufffdb"]


def test_events_of_distribution_3_are_those_of_2_with_another_type() -> None:
    project = new_project()
    sent = body_of(event("push", project.full_path, tag="1"))
    assert posted(sent, media_type="application/vnd.docker.distribution.events.v2+json").status_code == 200
    assert ImageRepository.objects.of_project(project).exists()
