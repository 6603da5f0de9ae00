"""The volume goes away under a running registry: nothing is acknowledged that would be lost when it is back."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from e2e.databases import postgres_config
from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Wire, eventually
from support.daemon import Daemon
from support.ports import free_port
from support.postgres import Postgres, migrated


@pytest.mark.parametrize("instead", ["nothing", "an empty file", "another database"])
def test_a_worker_that_begins_while_the_database_is_away_makes_no_other_and_serves_it_when_it_is_back(
    instead: str, tmp_path: Path
) -> None:
    folder, away = tmp_path / "database", tmp_path / "away"
    file = folder / "moorage.db"
    if instead == "another database":
        with Daemon(tmp_path / "other"):
            pass
    config = f"{config_for(tmp_path)}database: {{enabled: true, sqlite: '{file}'}}\n"
    folder.mkdir()
    image = build_image("database away")
    with Daemon(tmp_path, config=config, workers=1) as daemon:
        Wire(daemon.address).push_image("app", "1", image)
        eventually("all have begun, and the supervisor rests", lambda: daemon.rests)
        folder.rename(away)
        folder.mkdir()
        if instead == "an empty file":
            file.touch()
        elif instead == "another database":
            shutil.copy(tmp_path / "other" / "data" / "moorage.db", file)
        (killed,) = daemon.worker_pids
        daemon.kill_worker(killed)
        eventually("the new one cannot begin", lambda: "the worker cannot start" in daemon.log)
        if instead != "another database":
            assert not file.exists() or not file.stat().st_size
        shutil.rmtree(folder)
        away.rename(folder)
        daemon.wait_ready()
        assert Wire(daemon.address).manifest("app", "1").body == image.manifest.content
        assert Wire(daemon.address).try_blob("app", b"more", "monolithic").status == 201


@pytest.mark.parametrize("kind", ["sqlite", "layout"])
def test_pushes_are_refused_while_the_volume_is_away_and_go_on_by_themselves(kind: str, tmp_path: Path) -> None:
    database = {"enabled": True, "sqlite": str(tmp_path / "moorage.db")} if kind == "sqlite" else {"enabled": False}
    config = config_for(tmp_path) + yaml.safe_dump({"database": database})
    data, away = tmp_path / "data", tmp_path / "away"
    with Daemon(tmp_path, config=config, workers=1) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("app", "1", build_image("first"))
        data.rename(away)
        data.mkdir()
        second = build_image("second")
        for blob in second.blobs:
            assert wire.try_blob("app", blob.content, "monolithic").status == 503
        # What the database can answer by itself is right still: it does not know these blobs, and has the first image.
        assert wire.put_manifest("app", "2", second.manifest).status == (400 if kind == "sqlite" else 503)
        assert wire.manifest("app", "1").status == (200 if kind == "sqlite" else 503)
        digest = build_image("first").blobs[0].digest
        assert wire.blob("app", digest).status == 503
        assert wire.request("HEAD", f"/v2/app/blobs/{digest}").status == 503
        assert not list(data.rglob("*"))
        data.rmdir()
        away.rename(data)
        eventually("pushes go on", lambda: wire.try_blob("app", b"again", "monolithic").status == 201)
        wire.push_image("app", "2", second)
        assert "writes are refused" in daemon.log


def health(address: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{address}/debug/health", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_fresh_registry_of_link_files_is_watched_in_all_workers_and_health_tells(tmp_path: Path) -> None:
    debug = f"127.0.0.1:{free_port()}"
    config = config_for(tmp_path, http={"debug": {"addr": debug}}) + yaml.safe_dump({"database": {"enabled": False}})
    data, away = tmp_path / "data", tmp_path / "away"
    with Daemon(tmp_path, config=config, workers=4) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("app", "1", build_image("first"))
        assert health(debug) == 200
        data.rename(away)
        data.mkdir()
        for _ in range(40):  # Each on a connection of its own: every worker is asked.
            assert wire.try_blob("app", b"new", "monolithic").status == 503
        assert wire.delete("app", "manifests", "1").status == 503
        assert not list(data.rglob("*"))
        eventually("health tells", lambda: health(debug) == 503)
        data.rmdir()
        away.rename(data)
        eventually("health is well again", lambda: health(debug) == 200)
        assert wire.manifest("app", "1").status == 200
        wire.push_image("app", "2", build_image("second"))


def test_what_only_the_database_has_to_know_is_acknowledged_and_kept_while_the_volume_is_away(tmp_path: Path) -> None:
    database = {"enabled": True, "sqlite": str(tmp_path / "moorage.db")}
    config = config_for(tmp_path) + yaml.safe_dump({"database": database})
    data, away = tmp_path / "data", tmp_path / "away"
    image, deleted = build_image("first"), build_image("deleted")
    with Daemon(tmp_path, config=config, workers=2) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("app", "1", image)
        wire.push_image("app", "deleted", deleted)
        data.rename(away)
        data.mkdir()
        retagged = wire.put_manifest("app", "2", image.manifest).status
        assert retagged == 503
        assert wire.delete("app", "manifests", deleted.manifest.digest).status == 202
        data.rmdir()
        away.rename(data)
        assert wire.tags("app") == ["1"]
        for tag in wire.tags("app"):
            assert wire.manifest("app", tag).body == image.manifest.content
        for blob in image.blobs:
            assert wire.blob("app", blob.digest).body == blob.content


def test_two_nodes_on_postgresql_share_a_storage_and_a_node_on_another_one_is_refused(
    tmp_path: Path, postgres: Postgres
) -> None:
    config = postgres_config(tmp_path, postgres, migrated(postgres), secret="shared")
    nodes = [Daemon(tmp_path / name, config=config, workers=1) for name in "ab"]
    for node in nodes:
        node.data = tmp_path / "data"
    image = build_image("first")
    with nodes[0], nodes[1]:
        Wire(nodes[0].address).push_image("app", "1", image)
        Wire(nodes[1].address).push_image("app", "2", build_image("second"))
        assert Wire(nodes[1].address).manifest("app", "1").body == image.manifest.content
    stray = Daemon(
        tmp_path / "c", config=config.replace(str(tmp_path / "data"), str(tmp_path / "c" / "data")), workers=1
    )
    with pytest.raises(RuntimeError, match="is the volume mounted"):
        stray.start()
