"""A folder of Distribution is opened with an empty database, and used at once; and Distribution can have it back."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import yaml

from e2e.databases import postgres_config, sqlite_config
from e2e.images import Image, build_image, layout_digests, write_layout
from e2e.settings import config_for
from e2e.tagged import assert_serves, one_of_each_kind, push
from e2e.test_import import DATABASE_LOCK, FILESYSTEM_LOCK, REPOSITORIES, write_with
from e2e.wire import Wire
from support.clients import Skopeo
from support.commands import moorage
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer
from support.postgres import Postgres, migrated

_DEADLINE_S = 120.0
_JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=["sqlite", "postgres"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A configuration with a database, which does not adopt anything."""
    if request.param == "sqlite":
        return sqlite_config(tmp_path, tmp_path / "moorage.db")
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres_config(tmp_path, postgres, migrated(postgres), secret="s")


def adopting(config: str) -> str:
    found = yaml.safe_load(config)
    found["database"]["adopt"] = True
    return yaml.safe_dump(found)


def adopt(folder: Path, config: str, *words: str) -> "subprocess.CompletedProcess[str]":
    path = folder / "adopt.yml"
    path.write_text(config)
    return moorage("database", "adopt", *words, path, cwd=folder)


def wait_until(folder: Path, config: str, state: str) -> dict[str, object]:
    """What the status says once the adoption is in that state."""
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        told = adopt(folder, config, "status", "--json")
        found: dict[str, object] = json.loads(told.stdout)
        assert told.returncode == (0 if found["state"] == "ended" else 1), told.stderr
        if found["state"] == state:
            return found
        assert time.monotonic() < deadline, found


def refused(folder: Path, config: str) -> str:
    path = folder / "refused.yml"
    path.write_text(config)
    line = [sys.executable, "-m", "moorage", "serve", str(path)]
    ended = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


def test_a_folder_of_distribution_is_used_with_a_database_at_once_and_given_back(tmp_path: Path, plain: str) -> None:
    need(COMMAND)
    need("skopeo")
    theirs = Peer(tmp_path / "peer", tmp_path / "data")
    write_with(theirs)
    # As Distribution's own garbage collection leaves tags behind.
    gone = tmp_path / "data/docker/registry/v2/repositories/lib/odd/_manifests/tags/gone/current/link"
    gone.parent.mkdir(parents=True)
    gone.write_text(f"sha256:{'0' * 64}")
    config, skopeo = adopting(plain), Skopeo(tmp_path / "skopeo")
    image = build_image("pushed", layers=2)
    write_layout(tmp_path / "layout", {"v1": image})
    daemon = Daemon(tmp_path, config=config)
    with daemon:
        wire = Wire(daemon.address)
        assert wire.catalogue() == [*sorted(REPOSITORIES), "lib/odd"]
        skopeo.copy(f"docker://{daemon.address}/lib/app:oci", f"oci:{tmp_path / 'back'}:oci")
        assert layout_digests(tmp_path / "back") == {part.digest for part in one_of_each_kind()["oci"].parts}
        skopeo.copy(f"oci:{tmp_path / 'layout'}:v1", f"docker://{daemon.address}/lib/app:v1")
        skopeo.copy(f"oci:{tmp_path / 'layout'}:v1", f"docker://{daemon.address}/lib/new:v1")
        assert_serves(wire, "lib/app/sub", one_of_each_kind())
        assert wire.delete("lib/app/sub", "manifests", "schema2").status == 202
        found = wait_until(tmp_path, plain, "waiting")
        assert (found["repositories"], found["taken"], found["left_out"], found["tags"]) == (3, 3, 1, 8)
        assert wire.request("POST", "/moorage/v1/gc/run", b"{}", _JSON).status == 409
        daemon.kill()

    assert "set database.adopt: true" in refused(tmp_path, plain)
    (tmp_path / "target.yml").write_text(sqlite_config(tmp_path / "target", tmp_path / "target.db"))
    copied = moorage("storage", "copy", "adopt.yml", "target.yml", cwd=tmp_path)
    assert (copied.returncode, "moorage database adopt status" in copied.stderr) == (2, True), copied.stderr
    without = yaml.safe_load(plain)
    del without["database"]
    assert "set database.adopt: true" in refused(tmp_path, yaml.safe_dump(without))
    with theirs:  # Nothing of theirs has been changed.
        for repository in REPOSITORIES:
            assert_serves(Wire(theirs.address), repository, one_of_each_kind())

    said = adopt(tmp_path, plain, "status").stdout
    assert "tag-dangling" in said
    assert "moorage database adopt accept" in said
    assert adopt(tmp_path, plain, "accept").returncode == 0
    with Daemon(tmp_path, config=config):
        wait_until(tmp_path, plain, "ended")
    with Daemon(tmp_path, config=plain) as last:  # What is not needed any more may stay in the configuration or not.
        wire = Wire(last.address)
        assert (tmp_path / "data" / DATABASE_LOCK).exists()
        assert not (tmp_path / "data" / FILESYSTEM_LOCK).exists()
        assert_serves(wire, "lib/app", {**one_of_each_kind(), "v1": image})
        assert_serves(wire, "lib/new", {"v1": image})
        assert sorted(wire.tags("lib/app/sub")) == sorted(one_of_each_kind().keys() - {"schema2"})


def test_whoever_asks_two_workers_for_the_first_time_meanwhile_finds_every_image(tmp_path: Path, plain: str) -> None:
    """Many at once, from the first moment to the end: lists, manifests, blobs and what refers to them."""
    names = [f"lib/app{number}" for number in range(4)]
    write_with(Daemon(tmp_path, config=config_for(tmp_path)), names)
    config, ended, image = adopting(plain), Event(), one_of_each_kind()["oci"]
    assert isinstance(image, Image)

    def pull(address: str, order: list[str]) -> int:
        wire, rounds = Wire(address), 0
        while not ended.is_set() or not rounds:
            for name in order:
                assert_serves(wire, name, one_of_each_kind())
                digest, blob = image.manifest.digest, image.blobs[0].digest
                for path in (f"manifests/{digest}", "manifests/oci", f"blobs/{blob}"):
                    assert wire.request("HEAD", f"/v2/{name}/{path}").status == 200, (name, path)
                assert wire.request("GET", f"/v2/{name}/referrers/{digest}").status == 200
            assert wire.catalogue() == names
            rounds += 1
        return rounds

    with Daemon(tmp_path, config=config, workers=2) as daemon, ThreadPoolExecutor(4) as clients:
        orders = [names[turn:] + names[:turn] for turn in (0, 0, 3, 3)]
        pulling = [clients.submit(pull, daemon.address, order) for order in orders]
        try:
            wait_until(tmp_path, plain, "ended")
        finally:
            ended.set()
        for each in pulling:
            assert each.result(_DEADLINE_S) > 0


def test_two_nodes_adopt_the_same_folder_and_see_what_the_other_one_took(tmp_path: Path, postgres: Postgres) -> None:
    data = tmp_path / "a" / "data"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    need(COMMAND)
    write_with(Peer(tmp_path / "peer", data))
    dbname = migrated(postgres)
    (tmp_path / "b" / "data").symlink_to(data)
    configs = [adopting(postgres_config(tmp_path / name, postgres, dbname, secret="s")) for name in ("a", "b")]
    with Daemon(tmp_path / "a", config=configs[0]) as first, Daemon(tmp_path / "b", config=configs[1]) as second:
        push(Wire(first.address), "lib/app", {"first": build_image("first")})
        push(Wire(second.address), "lib/app/sub", {"second": build_image("second")})
        assert Wire(first.address).delete("lib/app/sub", "manifests", "second").status == 202
        assert sorted(Wire(second.address).tags("lib/app/sub")) == sorted(one_of_each_kind())
        assert_serves(Wire(second.address), "lib/app", {**one_of_each_kind(), "first": build_image("first")})
        wait_until(tmp_path / "a", configs[0], "ended")
