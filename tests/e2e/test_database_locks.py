"""What a start uses, and what it refuses: images are never hidden by another configuration, nor mixed."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.checks import assert_everything_listed_is_whole
from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Wire
from support.daemon import Daemon
from support.postgres import Postgres

REPOSITORY = "locks/app"
DATABASE_LOCK = "docker/registry/lockfiles/database-in-use"
FILESYSTEM_LOCK = "docker/registry/lockfiles/filesystem-in-use"


def with_database(folder: Path, section: str = "") -> str:
    return config_for(folder) + section


def with_sqlite(folder: Path, enabled: str = "true", name: str = "data/moorage.db") -> str:
    return with_database(folder, f"database: {{enabled: {enabled}, sqlite: '{folder / name}'}}\n")


def refusal(folder: Path, config: str) -> str:
    """What a start that fails says on its last line."""
    path = folder / "config.yml"
    path.write_text(config)
    command = [sys.executable, "-m", "moorage", "serve", str(path), "--addr", "127.0.0.1:0", "--workers", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


def migrate(folder: Path, config: str) -> None:
    path = folder / "config.yml"
    path.write_text(config)
    subprocess.run([sys.executable, "-m", "moorage", "database", "migrate", "up", str(path)], timeout=60, check=True)


def push(daemon: Daemon, tag: str = "1") -> None:
    Wire(daemon.address).push_image(REPOSITORY, tag, build_image(tag))


def assert_serves(daemon: Daemon, *tags: str) -> None:
    wire = Wire(daemon.address)
    assert wire.tags(REPOSITORY) == list(tags)
    assert assert_everything_listed_is_whole(wire) == len(tags)


def served(folder: Path, config: str | None) -> Daemon:
    """A registry with one image, stopped again."""
    daemon = Daemon(folder, config=config)
    with daemon:
        push(daemon)
    return daemon


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_folder_of_link_files_is_served_as_it_is_without_a_configuration(tmp_path: Path, *, has_lock: bool) -> None:
    daemon = served(tmp_path, config_for(tmp_path))
    assert (daemon.data / FILESYSTEM_LOCK).read_bytes() == b'{"version":1}'
    if not has_lock:
        (daemon.data / FILESYSTEM_LOCK).unlink()  # As Distribution leaves it.
    daemon.config = None
    with daemon:
        assert_serves(daemon, "1")
        push(daemon, "2")
    assert "serving them without the database" in daemon.log
    assert not (daemon.data / "moorage.db").exists()
    assert not (daemon.data / DATABASE_LOCK).exists()
    daemon.config = config_for(tmp_path)
    with daemon:
        assert_serves(daemon, "1", "2")


def test_a_folder_with_a_database_is_not_served_without_it_and_the_message_says_how_it_is(tmp_path: Path) -> None:
    daemon = served(tmp_path, None)
    line = refusal(tmp_path, config_for(tmp_path))
    name = tmp_path / "data" / "moorage.db"
    assert line.startswith(f"error: database.enabled: storage has {DATABASE_LOCK}: its images are in a database")
    assert line.endswith(f"set database.enabled: true and database.sqlite: {name}")
    for enabled in ("true", "prefer"):
        daemon.config = with_sqlite(tmp_path, enabled)
        with daemon:
            assert_serves(daemon, "1")


def test_a_folder_of_link_files_is_not_hidden_by_a_database_and_the_message_says_how_it_is_served(
    tmp_path: Path,
) -> None:
    daemon = served(tmp_path, config_for(tmp_path))
    line = refusal(tmp_path, with_sqlite(tmp_path))
    assert line.startswith(f"error: database.enabled: storage has {FILESYSTEM_LOCK}: ")
    assert "set database.enabled: false, or prefer, to go on" in line
    for enabled in ("false", "prefer"):
        daemon.config = with_sqlite(tmp_path, enabled)
        with daemon:
            assert_serves(daemon, "1")


def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    daemon = served(tmp_path, None)
    moved = daemon.data / "moorage.db"
    moved.rename(tmp_path / "elsewhere.db")
    line = refusal(tmp_path, with_sqlite(tmp_path))
    assert line.startswith("error: database.sqlite: ")
    assert f"there is no {moved}" in line
    assert not moved.exists()
    daemon.config = with_sqlite(tmp_path, name="elsewhere.db")
    with daemon:
        assert_serves(daemon, "1")


def test_both_locks_stop_every_start_until_one_of_them_is_removed(tmp_path: Path) -> None:
    daemon = served(tmp_path, None)
    (daemon.data / FILESYSTEM_LOCK).write_text('{"version":1}')
    for config in (config_for(tmp_path), with_sqlite(tmp_path), with_sqlite(tmp_path, "prefer")):
        assert "remove the other's file" in refusal(tmp_path, config)
    (daemon.data / FILESYSTEM_LOCK).unlink()
    with daemon:
        assert_serves(daemon, "1")


def test_of_two_registries_that_began_on_an_empty_folder_one_takes_images(tmp_path: Path) -> None:
    layout = Daemon(tmp_path / "one", config=config_for(tmp_path))
    database = Daemon(tmp_path / "two", config=with_sqlite(tmp_path, name="m.db"), args=["--data", str(layout.data)])
    with layout, database:
        push(database)
        wire = Wire(layout.address)
        image = build_image("late")
        for blob in image.blobs:
            wire.push_blob(REPOSITORY, blob.content)
        assert wire.put_manifest(REPOSITORY, "late", image.manifest).status == 503
        assert_serves(database, "1")
    assert (layout.data / DATABASE_LOCK).exists()


def test_locks_do_not_decide_where_the_variable_says_so(tmp_path: Path) -> None:
    served(tmp_path, config_for(tmp_path))
    ignoring = {"REGISTRY_FF_ENFORCE_LOCKFILES": "false"}
    with Daemon(tmp_path, config=with_sqlite(tmp_path), env=ignoring) as daemon:
        assert Wire(daemon.address).catalogue() == []
        push(daemon, "2")
    assert "not refused" in daemon.log
    assert not (daemon.data / DATABASE_LOCK).exists()


def test_a_postgresql_without_our_schema_stops_the_start_with_the_command_that_mends_it(
    tmp_path: Path, postgres: Postgres
) -> None:
    config = with_database(tmp_path, postgres.config_section(postgres.create_database()))
    line = refusal(tmp_path, config)
    assert "'moorage database migrate up'" in line
    assert not (tmp_path / "data" / DATABASE_LOCK).exists()
    migrate(tmp_path, config)
    with Daemon(tmp_path, config=config) as daemon:
        push(daemon)


@pytest.mark.parametrize("enabled", [True, "prefer"])
def test_a_postgresql_that_is_away_stops_the_start(tmp_path: Path, postgres: Postgres, enabled: object) -> None:
    section = postgres.config_section("r", port=1, enabled=enabled)
    line = refusal(tmp_path, with_database(tmp_path, section))
    assert line.startswith("error: database.host: cannot be used: no connection to PostgreSQL: 127.0.0.1:1: ")


def test_a_preferred_postgresql_need_not_be_there_for_a_folder_of_link_files(
    tmp_path: Path, postgres: Postgres
) -> None:
    daemon = served(tmp_path, config_for(tmp_path))
    daemon.config = with_database(tmp_path, postgres.config_section("r", port=1, enabled="prefer"))
    with daemon:
        assert_serves(daemon, "1")


def test_images_in_postgresql_stay_there(tmp_path: Path, postgres: Postgres) -> None:
    config = with_database(tmp_path, postgres.config_section(postgres.create_database(), enabled="prefer"))
    migrate(tmp_path, config)
    daemon = served(tmp_path, config)
    assert (daemon.data / DATABASE_LOCK).exists()
    line = refusal(tmp_path, config_for(tmp_path))
    assert line.endswith("name the database by database.sqlite or by database.host and database.dbname")
    assert "there is no" in refusal(tmp_path, with_sqlite(tmp_path))
    daemon.config = config
    with daemon:
        assert_serves(daemon, "1")
