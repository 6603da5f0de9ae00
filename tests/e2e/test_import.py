"""Images in link files are taken over into a database by the command, as a site would that switches."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from e2e.databases import postgres_config, sqlite_config
from e2e.images import build_image
from e2e.settings import config_for
from e2e.tagged import assert_serves, one_of_each_kind, push
from e2e.wire import Wire
from support.commands import moorage
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer
from support.postgres import Postgres, migrated

REPOSITORIES = ("lib/app", "lib/app/sub")
DATABASE_LOCK = "docker/registry/lockfiles/database-in-use"
PHASES = ("pre_import", "tag_import", "blob_import")
FILESYSTEM_LOCK = "docker/registry/lockfiles/filesystem-in-use"


def command(folder: Path, config: str, *words: str, name: str = "import") -> "subprocess.CompletedProcess[str]":
    path = folder / "config.yml"
    path.write_text(config)
    return moorage("database", name, *words, path, cwd=folder, timeout_s=300)


def done(folder: Path, config: str, *words: str) -> dict[str, object]:
    ended = command(folder, config, "--json", *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout)
    assert isinstance(found, dict)
    return found


def refusal(folder: Path, config: str, *words: str) -> str:
    """What it says that it does not do, without anything having been changed."""
    ended = command(folder, config, *words)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_config(tmp_path)
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres_config(tmp_path, postgres, migrated(postgres), secret="s")


def write_with(server: Daemon | Peer, repositories: Sequence[str] = REPOSITORIES) -> None:
    with server:
        for repository in repositories:
            push(Wire(server.address), repository, one_of_each_kind())


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that Distribution has written."""
    need(COMMAND)
    folder = tmp_path_factory.mktemp("theirs")
    write_with(Peer(folder / "peer", folder / "data"))
    return folder / "data"


def test_a_folder_of_distribution_is_taken_over_and_everything_can_be_pulled(
    tmp_path: Path, config: str, theirs: Path
) -> None:
    shutil.copytree(theirs, tmp_path / "data")
    found = done(tmp_path, config, "-c")
    assert (found["repositories"], found["tags"], found["left_out"]) == (2, 8, [])
    assert found["steps"] == ["all-repositories", "common-blobs"]
    assert found["unneeded_blobs"] == 0
    assert (tmp_path / "data" / DATABASE_LOCK).exists()
    assert not (tmp_path / "data" / FILESYSTEM_LOCK).exists()
    assert_nothing_differs(tmp_path)
    with Daemon(tmp_path, config=config) as daemon:
        wire = Wire(daemon.address)
        assert wire.catalogue() == sorted(REPOSITORIES)
        for repository in REPOSITORIES:
            assert_serves(wire, repository, one_of_each_kind())
        push(wire, "lib/app", {"new": build_image("new")})
        assert "new" in wire.tags("lib/app")
        assert_statistics_tell_of(wire, found)


def assert_nothing_differs(folder: Path) -> None:
    """A check right after an import is content; it counts the manifests that the import has left in storage."""
    ended = moorage("check", "--json", folder / "config.yml", cwd=folder, timeout_s=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout)
    assert found["differences"] == {}
    assert found["notes"]["payload"]["count"] > 1


def assert_statistics_tell_of(wire: Wire, found: Mapping[str, object]) -> None:
    """The import is in the statistics, with its counts as the command said them. V1A-029."""
    answer = wire.request("GET", "/gitlab/v1/statistics/").json()
    (attempt,) = cast("Sequence[Mapping[str, object]]", answer["import"])
    moments = {f"{name}_{end}" for name in PHASES for end in ("started_at", "finished_at")}
    moments |= {"created_at", "started_at", "finished_at"}
    assert {name: value for name, value in attempt.items() if name not in moments} == {
        "id": 1,
        **dict.fromkeys(PHASES, True),
        "repositories_count": found["repositories"],
        "tags_count": found["tags"],
        "manifests_count": found["manifests"],
        "blobs_count": found["common_blobs"],
        "blobs_size_bytes": found["common_blobs_size_bytes"],
        "storage_driver": "filesystem",
    }
    assert all(datetime.fromisoformat(str(attempt[name])) for name in moments)


def test_killed_at_any_moment_the_same_command_finishes_it(tmp_path: Path) -> None:
    config = sqlite_config(tmp_path)
    write_with(Daemon(tmp_path, config=config_for(tmp_path)))
    path = tmp_path / "config.yml"
    path.write_text(config)
    line = [sys.executable, "-m", "moorage", "database", "import", "-l", str(path)]
    for lines in (0, 1):  # So many repositories are done.
        with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(lines):
                assert "taken over" in child.stdout.readline()
            child.kill()
    if (tmp_path / "data" / FILESYSTEM_LOCK).exists():  # Else the kill came too late.
        assert done(tmp_path, config)["tags"] == 8
    with Daemon(tmp_path, config=config) as daemon:
        for repository in REPOSITORIES:
            assert_serves(Wire(daemon.address), repository, one_of_each_kind())


def test_beside_a_registry_that_is_used_only_the_first_step_runs(tmp_path: Path) -> None:
    config = sqlite_config(tmp_path)
    with Daemon(tmp_path, config=config_for(tmp_path)) as daemon:
        push(Wire(daemon.address), "lib/app", one_of_each_kind())
        assert done(tmp_path, config, "--pre-import")["steps"] == ["pre-import"]
        assert "takes pushes" in refusal(tmp_path, config, "-2")
        push(Wire(daemon.address), "lib/app", {"later": build_image("later")})
    assert done(tmp_path, config, "--step-two")["tags"] == 5
    ended = command(tmp_path, config, "--common-blobs", "--row-count")
    assert (ended.returncode, "tags: 5" in ended.stdout) == (0, True)
    assert [path.name for path in tmp_path.glob("*-registry-import.log")]


def test_what_goes_wrong_without_an_image_left_out_is_in_the_log_of_the_import(tmp_path: Path) -> None:
    config = sqlite_config(tmp_path)
    write_with(Daemon(tmp_path, config=config_for(tmp_path)), ["lib/app"])
    assert command(tmp_path, config, "up", name="migrate").returncode == 0
    (file,) = tmp_path.rglob("*.db")
    with contextlib.closing(sqlite3.connect(file)) as database:
        refused = "BEGIN SELECT RAISE(ABORT, 'no records today'); END"
        database.execute(f"CREATE TRIGGER away BEFORE INSERT ON import_statistics {refused}")
        database.commit()
    ended = command(tmp_path, config)
    assert (ended.returncode, ended.stderr) == (0, "")
    (log,) = tmp_path.glob("*-registry-import.log")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (warning,) = {line["msg"] for line in lines if line["level"] == "warning"}
    assert warning.startswith("the record of this import could not be written: ")
    assert "no records today" in warning
