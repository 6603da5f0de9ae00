"""Usage, quotas and garbage collection on their pages: figures, pictures, and who sees them."""

import csv
import re
import secrets
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.recording import ensure_repository
from moorage.control.pages.charts import MapItem, size_line, treemap
from moorage.control.projects.models import Project
from moorage.control.registry.client import ControlRegistry
from moorage.control.usage.changes import ensure_place
from moorage.control.usage.models import DailyUsage, UsagePlace
from support.control_registry import push_tags, registry_at
from support.control_rows import new_group, new_project
from support.daemon import Daemon
from support.pages_inhabitants import inhabit


@pytest.fixture
def people() -> dict[str, User]:
    return inhabit()


def sized(path: str, size: int, *, before: int | None = None) -> UsagePlace:
    row = ensure_place(Project.objects.get(full_path=path))
    UsagePlace.objects.filter(pk=row.pk).update(size_bytes=size, measured_at=timezone.now())
    today = timezone.now().date()
    DailyUsage.objects.create(place=row, day=today, size_bytes=size)
    if before is not None:
        DailyUsage.objects.create(place=row, day=today - timedelta(days=31), size_bytes=before)
    return row


def test_the_usage_of_the_instance_is_sorted_grown_and_drawn(people: dict[str, User], client: Client) -> None:
    sized("team/app", 3 << 30, before=2 << 30)
    sized("team/open", 5 << 30)
    client.force_login(people["root"])
    text = client.get("/admin/usage").content.decode()
    assert re.findall(r'class="name wide" scope="row"><a href="/([^"]+)/-/usage"', text) == ["team/open", "team/app"]
    assert "+50 %" in text
    assert text.count('<rect class="k1"') == 2
    by_name = client.get("/admin/usage?sort=name").content.decode()
    assert re.findall(r'class="name wide" scope="row"><a href="/([^"]+)/-/usage"', by_name) == ["team/app", "team/open"]
    assert client.get("/admin/usage?by=namespaces").status_code == 200
    assert client.get("/admin/usage?after=x,1&sort=-size").status_code == 200
    assert client.get(f"/admin/usage?after={'9' * 40},1&sort=-size").status_code == 200


def test_the_usage_as_csv_has_a_line_for_each_project_largest_first(people: dict[str, User], client: Client) -> None:
    sized("team/app", 7)
    sized("team/open", 9)
    client.force_login(people["root"])
    answer = client.get("/admin/usage.csv")
    lines = list(csv.DictReader(b"".join(answer).decode().splitlines()))
    assert [(line["path"], line["size_bytes"]) for line in lines] == [("team/open", "9"), ("team/app", "7")]
    client.force_login(people["ada"])
    assert client.get("/admin/usage.csv").status_code == 403


def test_a_maintainer_sees_the_size_over_time_and_an_administrator_sets_the_quota(
    people: dict[str, User], client: Client
) -> None:
    sized("team/app", 2 << 30, before=1 << 30)
    seen = {"root": 200, "max": 200, "dev": 403, "eve": 404}
    for name, status in seen.items():
        client.force_login(people[name])
        assert client.get("/team/app/-/usage").status_code == status, name
    sent = {"soft": "1", "hard": "1.5", "warning_percent": "80"}
    client.force_login(people["max"])
    assert "<polyline" in client.get("/team/app/-/usage").content.decode()
    assert client.post("/team/app/-/usage", sent).status_code == 403
    client.force_login(people["root"])
    assert client.post("/team/app/-/usage", sent | {"hard": "0.5"}).status_code == 400
    assert client.post("/team/app/-/usage", sent).status_code == 303
    assert UsagePlace.objects.get(project__full_path="team/app").hard_bytes == 3 << 29
    assert "The hard quota is reached" in client.get("/team/app/-/usage").content.decode()
    client.force_login(people["ada"])
    assert "<rect" in client.get("/team/-/usage").content.decode()


def test_the_areas_of_a_map_fill_it_and_are_as_large_as_their_sizes() -> None:
    sizes = [713, 318, 241, 226, 184, 127, 112, 59, 46, 120, 0]
    areas = treemap([MapItem(str(size), "/x", size, str(size % 3)) for size in sizes])
    assert [area.size for area in areas] == sizes[:-1]
    assert sum(area.width * area.height for area in areas) == pytest.approx(10_000, rel=0.01)
    for area in areas:
        assert area.width * area.height == pytest.approx(10_000 * area.size / sum(sizes), rel=0.02)
        assert area.left + area.width <= 100.1
        assert area.top + area.height <= 100.1
    assert treemap([]) == []


def test_a_line_goes_from_the_first_day_to_the_last_below_a_round_figure() -> None:
    line = size_line([(date(2026, 1, 1), 0), (date(2026, 1, 3), 900), (date(2026, 1, 5), 450)])
    assert line is not None
    assert line.top == 1024
    assert line.points.split()[0] == "0.00,100.00"
    assert line.points.split()[-1].startswith("100.00,")
    assert size_line([(date(2026, 1, 1), 5)]) is None


def test_the_queues_of_garbage_collection_and_why_something_stays_are_on_pages(
    people: dict[str, User], client: Client, registry: ControlRegistry, shared_daemon: Daemon
) -> None:
    project = Project.objects.get(full_path="team/app")
    path = ensure_repository(project, f"team/app/fate-{secrets.token_hex(4)}", by=COMMAND_LINE).path
    pushed = push_tags(shared_daemon.address, path, "v1")
    client.force_login(people["root"])
    text = client.get(f"/admin/gc?repository={path}&digest={pushed['v1'].digest}").content.decode()
    assert "In review" in text
    assert "it stays, as something needs it." in text
    client.force_login(people["rea"])
    address = f"/{path}/-/fate?digest={pushed['v1'].digest}"
    assert "it stays, as something needs it." in client.get(address).content.decode()
    registry.delete_tag(path, "v1")
    assert "nothing needs it. It can go from" in client.get(address).content.decode()
    assert "The registry has no such thing" in client.get(f"/{path}/-/fate?digest=sha256:{'0' * 64}").content.decode()
    assert client.get(f"/{path}/-/fate?digest=nonsense").status_code == 200


def test_pages_of_the_registry_itself_say_when_it_does_not_answer(people: dict[str, User], client: Client) -> None:
    client.force_login(people["root"])
    with registry_at("http://127.0.0.1:1/"):
        for address in ("/admin/gc", "/admin/notifications"):
            assert "The registry does not answer." in client.get(address).content.decode()


def test_the_overview_says_whether_collection_and_notifications_and_work_go_on(
    people: dict[str, User], client: Client, registry: ControlRegistry
) -> None:
    del registry
    client.force_login(people["root"])
    text = client.get("/admin").content.decode()
    assert "Garbage collection" in text
    assert "reviews that wait: " in text
    assert "Work beside requests keeps up." in text
    row = ensure_place(new_project(new_group()))
    UsagePlace.objects.filter(pk=row.pk).update(due_at=timezone.now() - timedelta(hours=2))
    assert "Work beside requests is late." in client.get("/admin").content.decode()
    assert "no endpoint" in client.get("/admin/notifications").content.decode()
