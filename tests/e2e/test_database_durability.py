"""The database under kill -9 and on a full disk: what was acknowledged is there, in the journal too."""

import http.client
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.databases import assert_journal_has, assert_linear, sqlite_config, sqlite_journal, sqlite_path
from e2e.images import build_image
from e2e.storm import Account, describe
from e2e.test_disk_full import SmallDisk, mount
from e2e.test_durability import PUSHERS, check, storm_and_kill
from e2e.wire import Wire, eventually, sha256
from support.clients import run
from support.components import need
from support.daemon import Daemon
from support.processes import signal_each

DELETION = {"REGISTRY_STORAGE_DELETE_ENABLED": "true"}


def survive(daemon: Daemon, rounds: int) -> None:
    """Kill a daemon in the middle of pushes, again and again, and look for what it had acknowledged."""
    seed = os.environ.get("MOORAGE_TEST_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"MOORAGE_TEST_SEED={seed}")  # noqa: T201 - the seed of a random test is shown with its failure
    acknowledged = 0
    for n in range(rounds):
        accounts = [Account(f"storm/{n}/{k}") for k in range(PUSHERS)]
        storm_and_kill(daemon, accounts, f"{seed}/{n}")
        print(f"round {n}: {describe(accounts)}")  # noqa: T201 - as above
        check(daemon, accounts)
        entries = sqlite_journal(sqlite_path(daemon.folder))
        for account in accounts:
            assert_journal_has(entries, account)
        acknowledged += sum(len(account.manifests) for account in accounts)
    assert acknowledged > rounds, "so few pushes show nothing"


@pytest.mark.timeout(200)
def test_what_the_default_daemon_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    with Daemon(tmp_path, workers=2, env=DELETION) as daemon:
        survive(daemon, rounds=3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_the_default_daemon_acknowledged_survives_kill_9_thirty_times(tmp_path: Path) -> None:
    with Daemon(tmp_path, workers=2, env=DELETION) as daemon:
        survive(daemon, rounds=30)


def test_a_worker_that_is_killed_in_the_middle_stops_no_other(tmp_path: Path) -> None:
    """It may have held the database's lock: the others get it, and nothing half-written is there."""
    with Daemon(tmp_path, workers=3, env=DELETION) as daemon:
        wire = Wire(daemon.address)
        acknowledged: dict[str, bytes] = {}
        for turn in range(30):
            image = build_image(f"{turn}", layers=1, layer_bytes=200)
            if turn % 10 == 5:
                signal_each([random.Random(turn).choice(daemon.worker_pids)], signal.SIGKILL)
            try:
                wire.push_image("t/killed", f"t{turn}", image)
            except (OSError, http.client.HTTPException):
                continue  # It was the worker that was killed.
            acknowledged[f"t{turn}"] = image.manifest.content
        assert len(acknowledged) >= 20
        eventually("all workers are there again", lambda: len(daemon.worker_pids) == 3)
        for tag, content in acknowledged.items():
            assert wire.manifest("t/killed", tag).body == content
        tags = {tag for _, tag in assert_linear(sqlite_journal(sqlite_path(tmp_path)))}
        assert acknowledged.keys() <= tags


@dataclass
class Place:
    """A daemon whose database is on a small disk; its blobs are elsewhere, or beside it."""

    daemon: Daemon
    disk: SmallDisk
    wire: Wire
    database: Path


@pytest.fixture(params=["beside", "elsewhere"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    need("mount", "mkfs.ext4", root=True)
    small = tmp_path / ("data" if request.param == "beside" else "small")
    small.mkdir()
    mount("ext4", small, image=tmp_path / "disk")
    try:
        database = small / "moorage.db"
        with Daemon(tmp_path, config=sqlite_config(tmp_path, database), workers=2) as daemon:
            yield Place(daemon, SmallDisk(small), Wire(daemon.address), database)
    finally:
        run("umount", small)


def refused_pushes(place: Place, repository: str) -> None:
    """Whatever needs room is refused with 507 until there is none of it."""
    for number in range(200):
        image = build_image(f"{repository}/refused/{number}", layers=1, layer_bytes=3000)
        answer = place.wire.try_blob(repository, image.layers[0].content)
        if answer.status == 507:
            assert answer.codes
            return
        assert answer.status == 201, (answer.status, answer.body)
    pytest.fail("the disk is full and takes two hundred blobs")


def test_a_full_disk_refuses_pushes_and_keeps_all_that_was_acknowledged(place: Place, repository: str) -> None:
    images = {f"t{n}": build_image(f"{repository}/{n}", layers=1, layer_bytes=3000) for n in range(3)}
    late = build_image(f"{repository}/late", layers=1, layer_bytes=3000)
    for tag, image in images.items():
        place.wire.push_image(repository, tag, image)
    for blob in late.blobs:
        place.wire.push_blob(repository, blob.content)
    place.disk.fill()
    refused_pushes(place, repository)
    place.disk.fill()
    refused = []
    for _ in range(20):
        answer = place.wire.put_manifest(repository, "late", late.manifest)
        refused.append(answer.status)
        if answer.status == 507:
            assert answer.codes
            break
    assert refused[-1] == 507, refused
    is_there = 201 in refused
    for tag, image in images.items():
        assert place.wire.manifest(repository, tag).body == image.manifest.content
        assert place.wire.blob(repository, image.layers[0].digest).body == image.layers[0].content
    assert place.wire.manifest(repository, "late").status == (200 if is_there else 404)
    place.disk.make_room()
    assert place.wire.put_manifest(repository, "late", late.manifest).status == 201
    place.wire.push_image(repository, "after", build_image(f"{repository}/after"))
    assert place.wire.tags(repository) == ["after", "late", *images]
    entries = sqlite_journal(place.database)
    assert {tag for _, tag in assert_linear(entries)} == {"after", "late", *images}


def test_removals_on_a_full_disk_are_done_or_refused_and_never_half(place: Place, repository: str) -> None:
    images = {f"t{n}": build_image(f"{repository}/{n}", layers=1, layer_bytes=3000) for n in range(6)}
    for tag, image in images.items():
        place.wire.push_image(repository, tag, image)
    place.disk.fill()
    left = dict(images)
    for number, (tag, image) in enumerate(images.items()):
        reference = tag if number % 2 else image.manifest.digest
        answer = place.wire.delete(repository, "manifests", reference)
        assert answer.status in {202, 507}, (answer.status, answer.body)
        if answer.status == 202:
            del left[tag]
    assert place.wire.tags(repository) == sorted(left)
    place.disk.make_room()
    for tag in sorted(left):
        assert place.wire.delete(repository, "manifests", tag).status == 202
    assert place.wire.tags(repository) == []
    entries = sqlite_journal(place.database)
    assert assert_linear(entries) == {}
    assert {entry.tag for entry in entries if entry.action == "tag_delete"} == set(images)


def test_kill_9_on_a_full_disk_loses_nothing(place: Place, repository: str) -> None:
    images = {f"t{n}": build_image(f"{repository}/{n}", layers=1, layer_bytes=3000) for n in range(3)}
    for tag, image in images.items():
        place.wire.push_image(repository, tag, image)
    place.disk.fill()
    refused_pushes(place, repository)
    place.daemon.kill()
    place.disk.make_room()
    place.daemon.start()
    for tag, image in images.items():
        assert place.wire.manifest(repository, tag).body == image.manifest.content
    content = random.Random(repository).randbytes(5000)
    place.wire.push_blob(repository, content)
    assert place.wire.blob(repository, sha256(content)).body == content
    assert set(images) <= {tag for _, tag in assert_linear(sqlite_journal(place.database))}
