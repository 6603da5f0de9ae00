"""Notifications that are not lost: real receivers that refuse, hang, reset, answer slowly, redirect, and come back."""

import json
import random
import sys
import threading
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from e2e.databases import end_leases, postgres_config, sqlite_path
from e2e.images import build_image, write_layout
from e2e.notifying import endpoint, push_tags, pushed, told_config
from e2e.wire import Wire
from support.clients import Skopeo, run
from support.components import need
from support.daemon import Daemon
from support.peer import Peer
from support.postgres import Postgres, migrated
from support.receiver import Event, Heard, Receiver, Reply, receiving

APP = "group/app"
TAGS = [f"v{number:02}" for number in range(12)]
REPOSITORIES = [f"storm/r{number}" for number in range(4)]
MANIFESTS_ONLY: Mapping[str, Any] = {"ignoredmediatypes": ["application/octet-stream"]}
"""Nothing is told of blobs: what a moody receiver makes of each event takes its time."""
SECRET = "s3cr3t-of-the-endpoint"


def test_every_kind_of_change_is_told_of_in_its_order(tmp_path: Path) -> None:
    with receiving() as receiver, Daemon(tmp_path, config=told_config(tmp_path, endpoint(receiver))) as daemon:
        wire, image = Wire(daemon.address), build_image("all")
        wire.push_image(APP, "v1", image)
        layer = image.layers[0].digest
        assert wire.request("POST", f"/v2/other/blobs/uploads/?mount={layer}&from={APP}").status == 201
        assert wire.delete("other", "blobs", layer).status == 202
        assert wire.manifest(APP, "v1").status == 200
        assert wire.delete(APP, "manifests", "v1").status == 202
        assert wire.put_manifest(APP, "v2", image.manifest).status == 201
        assert wire.delete(APP, "manifests", image.manifest.digest).status == 202
        renamed = wire.request(
            "PATCH", f"/gitlab/v1/repositories/{APP}/", b'{"name": "new"}', {"Content-Type": "application/json"}
        )
        assert renamed.status == 204, renamed.body
        receiver.wait(lambda heard: {"rename", "pull", "mount"} <= {event["action"] for event in heard.taken})
        receiver.wait(lambda heard: len(heard.unique) >= len(image.blobs) + 9)
    told = [summary(event) for event in receiver.unique if event["action"] != "pull"]
    assert [each[:1] + each[2:] for each in told if each[1] == APP] == [
        *[("push", None)] * len(image.blobs),
        ("push", "v1"),
        ("delete", "v1"),
        ("push", "v2"),
        ("delete", "v2"),
        ("delete", None),
        ("rename", None),
    ]
    assert [each for each in told if each[1] == "other"] == [("mount", "other", None), ("delete", "other", None)]
    (rename,) = [event["target"]["rename"] for event in receiver.unique if event["action"] == "rename"]
    assert rename == {"type": "name", "from": APP, "to": "group/new"}
    (mount,) = [event for event in receiver.unique if event["action"] == "mount"]
    assert mount["target"]["fromRepository"] == APP


def summary(event: Event) -> tuple[str, str, str | None]:
    return event["action"], event["target"]["repository"], event["target"].get("tag")


class Moody:
    """Answers as receivers on a bad day do, drawn from a seed; in the end each event is taken."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, heard: Heard) -> Reply:
        with self._lock:
            mood = self._random.random()
        if heard.path == "/moved":
            return Reply()
        if mood < 0.05:
            return Reply(hangs=True)
        if mood < 0.15:
            return Reply(resets=True)
        if mood < 0.3:
            return Reply(status=500)
        if mood < 0.4:
            return Reply(status=307, location="/moved")
        return Reply(delay_s=0.1 if mood < 0.5 else 0.0)


def storm(address: str, acknowledged: dict[str, list[str]], *, rounds: Sequence[str]) -> list[threading.Thread]:
    """Push tags to all repositories at once; what was acknowledged is noted, in order."""

    def push(repository: str) -> None:
        wire, image = Wire(address), build_image(repository)
        for tag in rounds:
            try:
                wire.push_image(repository, tag, image)
            except (OSError, HTTPException, AssertionError):
                return
            acknowledged[repository].append(tag)

    threads = [threading.Thread(target=push, args=(repository,)) for repository in acknowledged]
    for thread in threads:
        thread.start()
    return threads


def assert_told(receiver: Receiver, acknowledged: dict[str, list[str]]) -> None:
    """Every push that was acknowledged has its event, once after doubles are dropped, in order in its repository."""
    receiver.wait(
        lambda heard: all(set(tags) <= set(pushed(heard.unique, name)) for name, tags in acknowledged.items())
    )
    for name, tags in acknowledged.items():
        told = pushed(receiver.unique, name)
        assert len(told) == len(set(told)), (name, told)
        assert [tag for tag in told if tag in tags] == tags, name


def test_a_storm_is_told_of_though_the_registry_is_killed_and_the_receiver_is_moody(tmp_path: Path) -> None:
    acknowledged: dict[str, list[str]] = {name: [] for name in REPOSITORIES}
    with receiving(Moody(13)) as receiver:
        config = told_config(tmp_path, endpoint(receiver, **MANIFESTS_ONLY))
        daemon = Daemon(tmp_path, config=config, workers=2)
        with daemon:
            threads = storm(daemon.address, acknowledged, rounds=TAGS)
            receiver.wait(lambda heard: len(heard.heard) > 20)
            daemon.kill()
            for thread in threads:
                thread.join()
            end_leases(sqlite_path(tmp_path))
            daemon.start()
            more = [f"after-{tag}" for tag in TAGS[:4]]
            for thread in storm(daemon.address, acknowledged, rounds=more):
                thread.join()
            assert_told(receiver, acknowledged)


def test_a_receiver_that_comes_back_after_the_registry_was_killed_in_mid_queue_hears_all(tmp_path: Path) -> None:
    receiver = Receiver()
    daemon = Daemon(tmp_path, config=told_config(tmp_path, endpoint(receiver)))
    with daemon:
        push_tags(Wire(daemon.address), APP, build_image("away"), TAGS)
        daemon.kill()
        end_leases(sqlite_path(tmp_path))
        receiver.start()
        daemon.start()
        receiver.wait(lambda heard: len(heard.unique) > 3)
        daemon.kill()
        receiver.stop()
        end_leases(sqlite_path(tmp_path))
        daemon.start()
        push_tags(Wire(daemon.address), APP, build_image("away"), ["last"])
        receiver.start()
        assert_told(receiver, {APP: [*TAGS, "last"]})
    receiver.stop()


def test_no_endpoint_waits_for_another(tmp_path: Path) -> None:
    with receiving(lambda heard: Reply(hangs=bool(heard.events))) as hanging, receiving() as well:
        dead = Receiver()
        told = [endpoint(hanging, "hanging"), endpoint(dead, "dead"), endpoint(well, "well")]
        with Daemon(tmp_path, config=told_config(tmp_path, *told)) as daemon:
            push_tags(Wire(daemon.address), APP, build_image("three"), TAGS)
            assert_told(well, {APP: TAGS})
            assert not hanging.taken
            dead.start()
            assert_told(dead, {APP: TAGS})
            dead.stop()


def test_what_is_refused_for_good_is_kept_listed_and_sent_again_on_command(tmp_path: Path) -> None:
    refuses = [True]

    def decide(heard: Heard) -> Reply:
        is_bad = any(event["target"].get("tag") == "bad" for event in heard.events)
        return Reply(status=422) if is_bad and refuses else Reply()

    with receiving(decide) as receiver:
        headers = {"Authorization": [SECRET], "X-Twice": ["one", "two"]}
        told = endpoint(receiver, maxretries=1, headers=headers)
        told["url"] = told["url"].replace("127.0.0.1", f"user:{SECRET}@127.0.0.1")
        with Daemon(tmp_path, config=told_config(tmp_path, told)) as daemon:
            push_tags(Wire(daemon.address), APP, build_image("kept"), ["good", "bad", "next"])
            receiver.wait(lambda heard: "next" in pushed(heard.unique, APP))
            assert pushed(receiver.unique, APP) == ["good", "next"]
            status, shown = moorage(daemon, "status", "--json"), moorage(daemon, "show", "--json")
            (found,) = json.loads(status)["endpoints"]
            assert (found["waiting"], found["failed"], found["error"]) == (0, 1, "it answered 422")
            (failed,) = json.loads(shown)["notifications"]
            assert (failed["tries"], failed["error"], failed["repository"]) == (2, "it answered 422", APP)
            event = json.loads(moorage(daemon, "show", str(failed["id"])))
            assert event["target"]["tag"] == "bad"
            assert event["id"] == failed["event_id"]
            table = moorage(daemon, "status") + moorage(daemon, "show")
            assert "it answered 422" in table
            assert "http://***@127.0.0.1" in table
            refuses.clear()
            assert "1 event will be sent again" in moorage(daemon, "retry", "--endpoint", "told")
            receiver.wait(lambda heard: "bad" in pushed(heard.unique, APP))
            receiver.wait(lambda heard: len(heard.unique) == len(heard.unique))
            assert moorage(daemon, "show") == "no events that failed yet\n"
            assert SECRET not in daemon.log + status + shown + table
        assert receiver.heard[0].headers.get_all("X-Twice") == ["one", "two"]
        assert receiver.heard[0].headers["Authorization"] == SECRET


def moorage(daemon: Daemon, *words: str) -> str:
    return run(sys.executable, "-m", "moorage", "notifications", *words, "--registry", daemon.url)


def test_what_waits_can_be_dropped(tmp_path: Path) -> None:
    receiver = Receiver()
    with Daemon(tmp_path, config=told_config(tmp_path, endpoint(receiver))) as daemon:
        push_tags(Wire(daemon.address), APP, build_image("dropped"), ["one", "two"])
        waiting = json.loads(moorage(daemon, "show", "--waiting", "--json"))["notifications"]
        ids = [str(each["id"]) for each in waiting]
        assert f"{len(ids) - 1} events dropped" in moorage(daemon, "drop", "--waiting", *ids[:-1])
        with receiver:
            # The oldest may have been on its way when it was dropped: it is no tag's.
            receiver.wait(lambda heard: bool(pushed(heard.unique, APP)))
            assert pushed(receiver.unique, APP) == ["two"]


@pytest.mark.parametrize(("status", "method"), [(302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_redirects_are_followed_as_go_does_and_headers_stay_with_their_host(
    tmp_path: Path, status: int, method: str
) -> None:
    with receiving() as other:
        away = other.url.replace("/events", "/away")
        with receiving(lambda _: Reply(status=status, location=away)) as receiver:
            told = endpoint(receiver, headers={"X-Secret": [SECRET]})
            with Daemon(tmp_path, config=told_config(tmp_path, told)) as daemon:
                Wire(daemon.address).push_blob(APP, b"redirected")
                other.wait(lambda heard: bool(heard.heard))
        assert other.heard[0].method == method
        assert other.heard[0].path == "/away"
        assert bool(other.heard[0].events) is (method == "POST")
        assert receiver.heard[0].headers["X-Secret"] == SECRET
        assert "X-Secret" not in other.heard[0].headers


def test_without_a_database_what_waits_is_sent_at_the_end(tmp_path: Path) -> None:
    receiver = Receiver()
    config = told_config(tmp_path, endpoint(receiver, backoff="20ms", maxretries=1000), database=False)
    with Daemon(tmp_path, config=config) as daemon:
        push_tags(Wire(daemon.address), APP, build_image("memory"), TAGS[:4])
        receiver.start()
        daemon.stop()
    assert pushed(receiver.unique, APP) == TAGS[:4]
    receiver.stop()


def test_without_a_database_the_newest_is_dropped_where_there_is_no_room(tmp_path: Path) -> None:
    receiver = Receiver()
    told = endpoint(receiver, queuesizelimit=5, maxretries=1000, **MANIFESTS_ONLY)
    with Daemon(tmp_path, config=told_config(tmp_path, told, database=False)) as daemon:
        push_tags(Wire(daemon.address), APP, build_image("full"), TAGS)
        receiver.start()
        receiver.wait(lambda heard: len(heard.unique) == 5)
        assert "queue full, dropping event" in daemon.log
        push_tags(Wire(daemon.address), APP, build_image("full"), ["later"])
        receiver.wait(lambda heard: "later" in pushed(heard.unique, APP))
    assert pushed(receiver.unique, APP) == [*TAGS[:5], "later"]
    receiver.stop()


def test_two_nodes_on_postgresql_tell_all_though_both_are_killed(tmp_path: Path, postgres: Postgres) -> None:
    dbname = migrated(postgres)
    acknowledged: dict[str, list[str]] = {name: [] for name in REPOSITORIES}
    with receiving(Moody(29)) as receiver:
        text = postgres_config(tmp_path, postgres, dbname, secret="shared")
        config = told_config(tmp_path, endpoint(receiver, **MANIFESTS_ONLY), config=text)
        first, second = (Daemon(tmp_path / name, config=config, workers=1) for name in ("first", "second"))
        with first, second:
            threads = storm(first.address, acknowledged, rounds=TAGS)
            receiver.wait(lambda heard: len(heard.heard) > 20)
            first.kill()
            for thread in threads:
                thread.join()
            threads = storm(second.address, acknowledged, rounds=[f"second-{tag}" for tag in TAGS[:6]])
            receiver.wait(lambda heard: any(pushed(heard.unique, name)[-1:] > ["second"] for name in REPOSITORIES))
            second.kill()
            for thread in threads:
                thread.join()
            postgres.psql("UPDATE leases SET expires_at = 'epoch'", dbname)  # That they end was shown by the second.
            first.start()
            assert_told(receiver, acknowledged)
            second.start()
            push_tags(Wire(second.address), APP, build_image("end"), ["end"])
            assert_told(receiver, {APP: ["end"]})


def shape(value: object) -> object:
    """The keys of an object and the types of what is below them."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


@pytest.mark.parametrize("database", [True, False])
def test_a_push_by_skopeo_is_told_of_as_distribution_does(tmp_path: Path, skopeo: Skopeo, *, database: bool) -> None:
    need("docker-registry")
    source = write_layout(tmp_path / "source", {"v1": build_image("told")})
    with receiving() as theirs, receiving() as ours:
        endpoints = f"{{name: told, url: '{theirs.url}', timeout: 1s, threshold: 3, backoff: 1s}}"
        more = f"notifications: {{endpoints: [{endpoints}]}}\n"
        peer = Peer(tmp_path / "peer", tmp_path / "peer-data")
        peer.config_path.write_text(peer.config_path.read_text() + more)
        with peer:
            skopeo.copy(f"oci:{source}:v1", f"docker://{peer.address}/{APP}:v1")
            theirs.wait(lambda heard: bool(pushed(heard.taken, APP)))
        with Daemon(
            tmp_path / "ours", config=told_config(tmp_path / "ours", endpoint(ours), database=database)
        ) as daemon:
            skopeo.copy(f"oci:{source}:v1", f"docker://{daemon.address}/{APP}:v1")
            ours.wait(lambda heard: bool(pushed(heard.taken, APP)))
    assert ours.heard[0].headers["Content-Type"] == theirs.heard[0].headers["Content-Type"]
    told, wanted = by_target(ours.unique), by_target(theirs.unique)
    assert told.keys() == wanted.keys()
    for key, event in wanted.items():
        assert shape(told[key]) == shape(event), key
        same = dict(event["target"])
        url = same.pop("url").replace(peer.address, daemon.address)
        assert told[key]["target"] == {**same, "url": url}
    assert all(len(heard.events) == 1 for heard in ours.heard)


def by_target(events: Sequence[Event]) -> dict[tuple[str, str, str | None], Event]:
    """Pushes, by what was pushed."""
    return {
        (event["action"], event["target"]["digest"], event["target"].get("tag")): event
        for event in events
        if event["action"] == "push"
    }
