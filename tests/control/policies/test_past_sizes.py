"""Sizes of the past, and as they would have been under a policy: by values, and with a registry's own history."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.recording import ensure_repository
from moorage.control.policies.past_sizes import TagLife, days_from, lives_of, past_sizes, sizes_under
from moorage.control.policies.rules import PolicySelection
from moorage.control.registry.moorage_values import RecordedChange
from moorage.control.registry.registry_values import RemoteTag
from support.control_registry import registry_at
from support.control_rows import new_group, new_project
from support.images import image, push_image
from support.in_process import InProcess
from support.registry_client import RegistryClient

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def change(days: float, tag: str, before: str, after: str) -> RecordedChange:
    fields = {"id": 1, "actor": "", "request_id": "", "reason": "", "action": "", "repository": "g/p"}
    return RecordedChange(at=ago(days), tag=tag, before=before, after=after, **fields)  # type: ignore[arg-type] # the texts of a row


def tag(name: str, digest: str, days: float) -> RemoteTag:
    return RemoteTag(name=name, digest=digest, published_at=ago(days))


def test_a_tag_has_a_life_for_each_digest_that_it_pointed_to() -> None:
    changes = [change(1, "v", "b", "c"), change(3, "gone", "x", ""), change(5, "v", "a", "b"), change(9, "v", "", "a")]
    found = lives_of([tag("v", "c", 1), tag("old", "o", 40)], changes)
    assert {(life.name, life.digest, life.since, life.until) for life in found} == {
        ("v", "c", ago(1), None),
        ("v", "b", ago(5), ago(1)),
        ("v", "a", ago(9), ago(5)),
        ("gone", "x", None, ago(3)),
        ("old", "o", ago(40), None),
    }


def test_what_the_policy_deletes_stays_away_until_its_tag_is_pushed_again() -> None:
    lives = [
        TagLife(name="v1", digest="a", since=ago(10), until=ago(2)),
        TagLife(name="v1", digest="c", since=ago(2), until=None),
        TagLife(name="v2", digest="b", since=ago(8), until=None),
    ]
    parts = {"a": {"base": 100, "a": 1}, "b": {"base": 100, "b": 20}, "c": {"c": 7}}
    selection = PolicySelection(keep_count=1)
    sizes = sizes_under(lives, selection, days_from(ago(10), NOW), parts)
    assert len(sizes) == 11
    by_day = [(one.size_bytes, one.policy_bytes) for one in sizes]
    assert by_day[:2] == [(101, 101), (101, 101)]
    assert by_day[2:8] == [(121, 120)] * 6  # The layer that both have counts once.
    assert by_day[8:] == [(127, 7)] * 3  # Pushed again, v1 is the newest.


def test_less_than_a_day_is_no_picture() -> None:
    assert days_from(ago(0.9), NOW) == []
    assert days_from(ago(1), NOW) == [ago(1), NOW]


def test_the_past_of_a_repository_comes_from_the_history_of_its_registry(tmp_path: Path) -> None:
    project = new_project(new_group())
    path = f"{project.full_path}/x{secrets.token_hex(4)}"
    repository = ensure_repository(project, path, by=COMMAND_LINE)
    with InProcess(tmp_path) as registry, RegistryClient(registry.address) as pusher:
        for name in ("v1", "v2", "v3"):
            push_image(pusher, path, name, image(f"{path}:{name}"))
        assert pusher.request("DELETE", f"/v2/{path}/manifests/v1").status == 202
        day = int(timedelta(days=1).total_seconds() * 1_000_000)
        # All happened ten days ago, and v1 went five days ago.
        registry.execute("UPDATE journal SET at = at - 10 * ?", day)
        registry.execute("UPDATE journal SET at = at + 5 * ? WHERE to_digest IS NULL AND tag = 'v1'", day)
        with registry_at(registry.url):
            past = past_sizes(repository, PolicySelection(keep_count=1), now=datetime.now(UTC))
    assert past is not None
    assert past.forgotten == 0
    assert len(past.sizes) == 11
    first, last = past.sizes[0], past.sizes[-1]
    assert first.size_bytes > last.size_bytes > last.policy_bytes > 0
    assert first.policy_bytes < first.size_bytes
