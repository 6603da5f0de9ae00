"""DSK-001 to DSK-005, S-077: sizes of projects and namespaces over Moorage's own daemon, refreshed and kept by day."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.changes import delete_project_with_images
from moorage.control.images.deletion import ImageDeletion, ProjectsDeletion
from moorage.control.images.moves import move_group_with_images, move_project_with_images
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import run_until_idle
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import talking_to
from moorage.control.registry.transport import RegistryTransport
from moorage.control.usage import questions
from moorage.control.usage.changes import ensure_places_of, keep_size, note_change
from moorage.control.usage.measuring import UsageMeasurement
from moorage.control.usage.models import DailyUsage, UsagePlace
from moorage.control.usage.questions import size_report, usage_of
from support.control_api import call
from support.control_registry import MovedClock, no_token
from support.control_rows import new_group, new_member, new_project, new_token, new_user
from support.daemon import Daemon
from support.images import Image, image, push_image
from support.ports import free_port
from support.registry_client import RegistryClient

EVENT = "application/vnd.docker.distribution.events.v1+json"

pytestmark = pytest.mark.usefixtures("registry")


def pushed(daemon: Daemon, project: Project, name: str, made: Image) -> None:
    path = f"{project.full_path}/{name}"
    with RegistryClient(daemon.address) as pusher:
        push_image(pusher, path, "1", made)
    ensure_repository(project, path, by=COMMAND_LINE)


def layers_of(*images: Image) -> int:
    """Bytes of the layers, each counted once; the configuration is no layer."""
    found: dict[str, int] = {}
    for one in images:
        layers = json.loads(one.manifest.body)["layers"]
        found |= {layer["digest"]: layer["size"] for layer in layers}
    return sum(found.values())


def measure(clock: MovedClock) -> None:
    run_until_idle([UsageMeasurement()], clock.turn)


def event(project: Project, action: str = "push") -> str:
    target = {"repository": f"{project.full_path}/web", "tag": "1"}
    return json.dumps({"events": [{"action": action, "target": target}]})


def send_event(client: Client, body: str) -> int:
    headers = {"Authorization": "secret-of-events"}
    path = "/api/v4/container_registry_event/events"
    return client.post(path, data=body, content_type=EVENT, headers=headers).status_code


def test_a_layer_counts_once_in_a_project_and_once_in_all_namespaces_above(
    shared_daemon: Daemon, clock: MovedClock
) -> None:
    top = new_group()
    below = new_group(parent=top)
    one, other = new_project(below), new_project(top)
    shared, own = image("shared of sizes"), image("own of sizes")
    for project, name, made in ((one, "a", shared), (one, "b", shared), (one, "c", own), (other, "d", shared)):
        pushed(shared_daemon, project, name, made)
    clock.move(days=1)
    measure(clock)
    sizes = {row.audit_name: row.size_bytes for row in UsagePlace.objects.all()}
    assert sizes == {
        one.full_path: layers_of(shared, own),
        other.full_path: layers_of(shared),
        below.full_path: layers_of(shared, own),
        top.full_path: layers_of(shared, own),
    }
    assert {row.measured_at for row in UsagePlace.objects.all()} == {clock.now}
    assert not UsageMeasurement().step(clock.turn)


def test_what_no_tag_leads_to_counts_in_no_size(shared_daemon: Daemon, clock: MovedClock) -> None:
    project, made = new_project(), image("tagged of sizes")
    pushed(shared_daemon, project, "web", made)
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, f"{project.full_path}/web", None, image("untagged of sizes"))
    ensure_places_of(project)
    measure(clock)
    assert UsagePlace.objects.get(project=project).size_bytes == layers_of(made)


def test_an_event_has_the_project_and_all_above_measured_soon(
    client: Client, shared_daemon: Daemon, clock: MovedClock
) -> None:
    project = new_project()
    pushed(shared_daemon, project, "web", image("first of events"))
    clock.move(days=1)
    measure(clock)
    before = usage_of(project).size_bytes
    pushed(shared_daemon, project, "more", image("second of events"))
    measure(clock)
    assert usage_of(project).size_bytes == before, "nothing has said that it changed"
    assert send_event(client, event(project)) == 200
    due = UsagePlace.objects.get(project=project).due_at
    assert due is not None
    clock.now = due
    measure(clock)
    assert usage_of(project).size_bytes == layers_of(image("first of events"), image("second of events"))
    assert usage_of(project.namespace).size_bytes == usage_of(project).size_bytes
    assert send_event(client, event(project, "delete")) == 200
    assert (UsagePlace.objects.get(project=project).due_at or clock.now) > due


def test_what_changes_while_it_is_measured_is_measured_again(shared_daemon: Daemon, clock: MovedClock) -> None:
    project = new_project()
    pushed(shared_daemon, project, "web", image("meanwhile"))
    note_change(project, now=clock.now)
    UsagePlace.objects.update(due_at=clock.now)
    row = UsagePlace.LEASE.take(UsagePlace.objects.filter(project=project), now=clock.now, until=clock.now)
    assert row is not None
    note_change(project, now=clock.now + timedelta(seconds=1))
    later = clock.now + timedelta(days=1)
    assert keep_size(row, 5, "", started=clock.now, again=later)
    assert (usage_of(project).size_bytes, UsagePlace.objects.get(project=project).due_at) != (5, later)
    assert not keep_size(row, 6, "", started=clock.now, again=later), "its lease was given back"
    assert usage_of(project).size_bytes == 5


@pytest.mark.parametrize("is_group", [False, True])
def test_what_is_moved_has_the_namespaces_that_it_left_and_came_to_measured_at_once(
    shared_daemon: Daemon,
    clock: MovedClock,
    is_group: bool,  # noqa: FBT001 - a case
) -> None:
    top = new_group()
    left, there = new_group("left", parent=top), new_group("there", parent=top)
    inner = new_group("inner", parent=left)
    project = new_project(inner, "app")
    pushed(shared_daemon, project, "web", made := image("moved along"))
    measure(clock)
    assert [usage_of(place).size_bytes for place in (top, left, inner)] == [layers_of(made)] * 3
    if is_group:
        move_group_with_images(inner, there, "inner", by=COMMAND_LINE)
    else:
        move_project_with_images(project, there, "app", by=COMMAND_LINE)
    clock.move(minutes=1)
    measure(clock)
    emptied = [0, layers_of(made)] if is_group else [0, 0]
    assert [usage_of(place).size_bytes for place in (left, inner)] == emptied
    assert [usage_of(place).size_bytes for place in (there, top)] == [layers_of(made)] * 2
    assert UsagePlace.objects.get(namespace=top).measured_at != UsagePlace.objects.get(namespace=there).measured_at


def test_a_namespace_is_measured_at_once_when_a_project_in_it_has_gone(
    shared_daemon: Daemon, clock: MovedClock
) -> None:
    group = new_group()
    project = new_project(new_group("inner", parent=group), "app")
    pushed(shared_daemon, project, "web", made := image("goes with its project"))
    measure(clock)
    assert usage_of(group).size_bytes == layers_of(made)
    delete_project_with_images(project, by=COMMAND_LINE, now=clock.now)
    run_until_idle([ImageDeletion(), ProjectsDeletion()], clock.turn)
    measure(clock)
    assert [usage_of(place).size_bytes for place in (group, project.namespace)] == [0, 0]


def test_each_day_keeps_its_last_size(shared_daemon: Daemon, clock: MovedClock) -> None:
    project, first_day = new_project(), clock.now.date()
    made = [image(f"day {number}") for number in range(3)]
    for number, one in enumerate(made):
        pushed(shared_daemon, project, f"r{number}", one)
        UsagePlace.objects.update(due_at=clock.now)
        measure(clock)
        clock.move(hours=8)
    days = DailyUsage.objects.filter(place__project=project)
    assert [(row.day, row.size_bytes) for row in days] == [
        (first_day + timedelta(days=1), layers_of(*made)),
        (first_day, layers_of(*made[:2])),
    ]


def test_a_registry_that_does_not_answer_leaves_the_size_with_its_moment(
    shared_daemon: Daemon, clock: MovedClock
) -> None:
    project = new_project()
    pushed(shared_daemon, project, "web", image("unreachable"))
    measure(clock)
    clock.move(days=1)
    measure(clock)
    known = usage_of(project)
    UsagePlace.objects.update(due_at=clock.now)
    clock.move(minutes=1)
    nobody = RegistryTransport(f"http://127.0.0.1:{free_port()}", no_token)
    with talking_to(ControlRegistry(nobody)):
        measure(clock)
    nobody.close()
    found = usage_of(project)
    assert (found.size_bytes, found.measured_at) == (known.size_bytes, known.measured_at)
    assert found.last_failure
    assert found.due_at == clock.now + timedelta(minutes=10)


def test_the_report_has_projects_that_take_room_the_largest_first(client: Client, shared_daemon: Daemon) -> None:
    owner, admin = new_user(), new_user(is_admin=True)
    small, large, empty = (new_project(owner, path) for path in ("small", "large", "empty"))
    for project, size in ((small, 1), (large, 1 << 40), (empty, 0)):
        UsagePlace.objects.create(project=project, size_bytes=size)
    UsagePlace.objects.create(namespace=owner.namespace, size_bytes=1 << 41)
    wanted = [(large.pk, None, 1 << 40, large.full_path), (small.pk, None, 1, small.full_path)]
    assert list(map(tuple, size_report())) == wanted
    answer = call(client, "GET", "/moorage/usage/projects", token=new_token(admin).secret)
    names = ("project_id", "creator_id", "registry_size_bytes", "path")
    assert json.loads(answer.content) == [dict(zip(names, row, strict=True)) for row in wanted]
    assert answer["X-Total"] == "2"


def test_the_report_is_csv_for_whoever_asks_for_it_whole_and_a_few_rows_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, token = new_user(), new_token(new_user(is_admin=True)).secret
    projects = [new_project(owner, f"p{number}") for number in range(7)]
    sizes = (5, 9, 5, 5, 1, 9, 3)
    for project, size in zip(projects, sizes, strict=True):
        UsagePlace.objects.create(project=project, size_bytes=size)
    ordered = sorted(zip(sizes, projects, strict=True), key=lambda one: (-one[0], one[1].pk))
    wanted = ["project_id,creator_id,registry_size_bytes,project path"]
    wanted += [f"{project.pk},,{size},{project.full_path}" for size, project in ordered]
    monkeypatch.setattr(questions, "CHUNK", 2)
    path = "/moorage/usage/projects"
    asked = call(client, "GET", f"{path}?format=csv&per_page=1", token=token)
    headers = {"PRIVATE-TOKEN": token, "Accept": "text/csv"}
    wished = client.get(f"/api/v4{path}", headers=headers)
    for answer in (asked, wished):
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.getvalue().decode().splitlines() == wanted
    head = client.head(f"/api/v4{path}", headers=headers)
    assert (head.headers["Content-Type"], head.content) == ("text/csv; charset=utf-8", b"")
    assert head.headers["Content-Length"] == str(len("\n".join([*wanted, ""])))
    with CaptureQueriesContext(connection) as queries:
        assert len(list(questions.size_report())) == 7
    assert len(queries) == 4, "each part is read by itself"
    for accepted in ("*/*", "application/json, text/csv;q=0.5", "text/html"):
        found = client.get(f"/api/v4{path}", headers=headers | {"Accept": accepted})
        assert found.headers["Content-Type"].startswith("application/json"), accepted
    assert client.get(f"/api/v4{path}?format=json", headers=headers).headers["X-Total"] == "7"
    assert call(client, "GET", f"{path}?format=xml", token=token).status_code == 400
    stranger = new_token(new_user()).secret
    assert call(client, "GET", f"{path}?format=csv", token=stranger).status_code == 403


def test_statistics_are_in_gitlab_s_shape_for_reporters(client: Client) -> None:
    group = new_group()
    project = new_project(group, visibility="public")
    UsagePlace.objects.create(project=project, size_bytes=7)
    UsagePlace.objects.create(namespace=group, size_bytes=9)
    reporter, guest = (
        new_token(new_member(group, level).user).secret for level in (AccessLevel.REPORTER, AccessLevel.GUEST)
    )
    admin = new_token(new_user(is_admin=True)).secret
    places = ((f"/projects/{project.pk}", 7), (f"/groups/{group.pk}", 9), (f"/namespaces/{group.pk}", 9))
    for place, size in places:
        for token in (reporter, admin):
            found = json.loads(call(client, "GET", f"{place}?statistics=true", token=token).content)["statistics"]
            assert (found["container_registry_size"], found["storage_size"], found["lfs_objects_size"]) == (
                size,
                size,
                0,
            )
    for place, _ in places[:2]:
        assert "statistics" not in json.loads(call(client, "GET", place, token=admin).content)
        assert "statistics" not in json.loads(call(client, "GET", f"{place}?statistics=true", token=guest).content)
    (listed,) = json.loads(call(client, "GET", "/projects?statistics=true", token=reporter).content)
    assert listed["statistics"]["container_registry_size"] == 7
    (one,) = json.loads(call(client, "GET", "/groups?statistics=true", token=admin).content)
    assert one["statistics"]["container_registry_size"] == 9
