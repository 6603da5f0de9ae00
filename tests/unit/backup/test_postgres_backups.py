"""Backups of registry and control plane in PostgreSQL, brought back into databases that are empty."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.databases import postgres_config
from moorage.backup.backing_up import MadeBackup, make_backup
from moorage.backup.backup_folder import BackupFolder, BackupRefused
from moorage.backup.places import read_places, read_targets, scratch_server
from moorage.backup.restoring import restore
from moorage.backup.scratch_database import NAME_PREFIX
from moorage.backup.verifying import verify
from moorage.metadata.schema.chains import CHAINS
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.migrator import up
from moorage.work.reports import WorkReports
from support.commands import moorage
from support.daemon import Daemon
from support.images import Image, push_image
from support.postgres import Postgres, settings_for
from support.registry_client import RegistryClient

APP = "group/app"
SECRET = "a-secret-of-tests-that-is-long-enough"


def write_places(folder: Path, postgres: Postgres, *, registry: str, control: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(postgres_config(folder, postgres, registry, secret=SECRET))
    section = yaml.safe_load(postgres.config_section(control))["database"]
    del section["enabled"]
    (folder / "control.yml").write_text(yaml.safe_dump({"secret": SECRET, "log": "text", "database": section}))
    return folder / "config.yml"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[RegistryClient]:
    with (
        Daemon(folder, config=(folder / "config.yml").read_text()) as daemon,
        contextlib.closing(RegistryClient(daemon.address)) as client,
    ):
        yield client


def pulled(client: RegistryClient, image: Image) -> bool:
    answer = client.get_manifest(APP, image.digest)
    return answer.body == image.manifest.body and all(
        client.get_blob(APP, blob.digest).body == blob.body for blob in image.blobs
    )


def backed_up(config: Path, folder: BackupFolder) -> MadeBackup:
    return asyncio.run(make_backup(read_places(config, None), folder, with_blobs=None, reports=WorkReports()))


def make_old_control(config: Path) -> None:
    """The control plane's tables as the first version had them, beside a registry that was never started."""
    (config.parent / "data").mkdir()
    names, control = config.with_name("old.json"), config.with_name("control.yml")
    names.write_text(json.dumps(["namespaces 0001_initial", "accounts 0001_initial"]))
    command = [sys.executable, "-m", "moorage.backup.control_tables", str(control), str(names)]
    subprocess.run(command, check=True)


def scratch_databases(postgres: Postgres) -> list[str]:
    return [name for name in postgres.psql("SELECT datname FROM pg_database").split() if name.startswith(NAME_PREFIX)]


def test_both_databases_come_back_with_all_their_rows(tmp_path: Path, postgres: Postgres) -> None:
    names = [postgres.create_database() for _ in range(4)]
    before = write_places(tmp_path / "before", postgres, registry=names[0], control=names[1])
    asyncio.run(up(settings_for(postgres, names[0]), Wish()))
    assert moorage("control", "migrate", "--config", str(before.with_name("control.yml"))).returncode == 0
    backups = BackupFolder(tmp_path / "backups")
    with served(before.parent) as client:
        images = [push_image(client, APP, f"v{number}") for number in range(3)]
        made = backed_up(before, backups)
    assert made.record.registry.rows["public.manifests"] == 3
    after = write_places(tmp_path / "after", postgres, registry=names[2], control=names[3])
    restored = moorage("restore", str(backups.path), "--to", str(after), "--json")
    assert restored.returncode == 0, restored.stderr
    again = backed_up(after, BackupFolder(tmp_path / "again")).record
    assert (again.registry, again.control) == (made.record.registry, made.record.control)
    assert again.identity == made.record.identity != ""
    with served(after.parent) as client:
        assert all(pulled(client, image) for image in images)
        pushed = push_image(client, APP, "new")  # Sequences go on behind the rows.
        assert pulled(client, pushed)
    shutil.rmtree(after.parent / "data")
    with pytest.raises(BackupRefused, match="is not empty: it has"):
        asyncio.run(restore(backups, made.backup, read_targets(after, None), record=made.record, reports=WorkReports()))
    tried = moorage("backup", "verify", str(backups.path), "--scratch", str(before), "--json")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    found = json.loads(tried.stdout)
    assert (found["notes"], found["manifests"], found["images"], found["pulled_blobs"]) == ([], 3, 3, 9)
    assert scratch_databases(postgres) == []
    postgres.psql("CREATE ROLE lowly LOGIN PASSWORD 'lowly'")
    tree = yaml.safe_load(before.read_text())
    tree["database"] |= {"user": "lowly", "password": "lowly", "dbname": "postgres"}
    (tmp_path / "lowly.yml").write_text(yaml.safe_dump(tree))
    refused = moorage("backup", "verify", str(backups.path), "--scratch", str(tmp_path / "lowly.yml"))
    assert refused.returncode == 2
    assert 'ALTER ROLE "lowly" CREATEDB lets it' in refused.stderr
    made.record.registry.rows["public.tags"] += 1
    server = scratch_server(before)
    report = verify(backups, made.backup, made.record, sample=0, reports=WorkReports(), server=server)
    assert report.problems.first == [
        "registry: what was brought back has other rows than what was copied: [('public.tags', 3), ('public.tags', 4)]"
    ]
    (made.backup.registry_tables / "public.blobs.copy").unlink()
    report = verify(backups, made.backup, made.record, sample=0, reports=WorkReports())
    assert [problem.partition(" ")[0] for problem in report.problems.first] == ["registry/public.blobs.copy"]


def test_a_backup_of_an_older_version_comes_back_with_its_tables_and_is_migrated_as_by_an_upgrade(
    tmp_path: Path, postgres: Postgres
) -> None:
    names = [postgres.create_database() for _ in range(4)]
    before = write_places(tmp_path / "before", postgres, registry=names[0], control=names[1])
    asyncio.run(up(settings_for(postgres, names[0]), Wish(pre=5)))
    postgres.psql(
        "WITH n AS (INSERT INTO top_level_namespaces (name, created_at) VALUES ('old', now()) RETURNING id) "
        "INSERT INTO repositories (top_level_namespace_id, path, created_at) SELECT id, 'old/app', now() FROM n",
        names[0],
    )
    make_old_control(before)
    backups = BackupFolder(tmp_path / "backups")
    made = backed_up(before, backups)
    after = write_places(tmp_path / "after", postgres, registry=names[2], control=names[3])
    restored = moorage("restore", str(backups.path), "--to", str(after))
    assert restored.returncode == 0, restored.stderr
    later = len(CHAINS.steps()) - 5
    assert f"{later} migrations came after this backup: moorage database migrate up applies them" in restored.stdout
    assert "moorage control migrate applies them" in restored.stdout
    again = backed_up(after, BackupFolder(tmp_path / "again")).record
    assert (again.registry, again.control) == (made.record.registry, made.record.control)
    assert moorage("database", "migrate", "up", str(after)).returncode == 0
    assert moorage("control", "migrate", "--config", str(after.with_name("control.yml"))).returncode == 0
    assert postgres.psql("SELECT path FROM repositories", names[2]).split() == ["old/app"]
    report = verify(backups, made.backup, made.record, sample=0, reports=WorkReports(), server=scratch_server(before))
    assert report.problems.first == []


def test_a_backup_of_a_newer_version_is_refused_before_anything_is_written(tmp_path: Path, postgres: Postgres) -> None:
    names = [postgres.create_database() for _ in range(2)]
    before = write_places(tmp_path / "before", postgres, registry=names[0], control=names[1])
    asyncio.run(up(settings_for(postgres, names[0]), Wish()))
    make_old_control(before)
    backups = BackupFolder(tmp_path / "backups")
    made = backed_up(before, backups)
    after = write_places(
        tmp_path / "after", postgres, registry=postgres.create_database(), control=postgres.create_database()
    )
    assert made.record.control is not None
    server = scratch_server(before)
    for half, newer in (
        (made.record.registry, "pre-deployment 9999_later"),
        (made.record.control, "images 9999_later"),
    ):
        half.migrations.append(newer)
        with pytest.raises(BackupRefused, match=f"{newer.partition(' ')[2]}.*: restore with that version"):
            asyncio.run(
                restore(backups, made.backup, read_targets(after, None), record=made.record, reports=WorkReports())
            )
        report = verify(backups, made.backup, made.record, sample=0, reports=WorkReports(), server=server)
        assert newer.partition(" ")[2] in report.problems.first[0]
        half.migrations.remove(newer)
    assert not (tmp_path / "after" / "data").exists()


def test_tables_of_somebody_else_in_a_database_do_not_keep_a_backup_from_coming_back(
    tmp_path: Path, postgres: Postgres
) -> None:
    names = [postgres.create_database() for _ in range(4)]
    before = write_places(tmp_path / "before", postgres, registry=names[0], control=names[1])
    asyncio.run(up(settings_for(postgres, names[0]), Wish()))
    make_old_control(before)
    for name in names[:2]:
        postgres.psql("CREATE TABLE notes (id bigserial PRIMARY KEY, text text)", name)
        postgres.psql("INSERT INTO notes (text) VALUES ('vacuumed on Monday')", name)
    backups = BackupFolder(tmp_path / "backups")
    made = backed_up(before, backups)
    after = write_places(tmp_path / "after", postgres, registry=names[2], control=names[3])
    restored = moorage("restore", str(backups.path), "--to", str(after))
    assert restored.returncode == 0, restored.stderr
    assert "not Moorage's: public.notes, public.notes; the backup has their rows" in restored.stdout
    server = scratch_server(before)
    report = verify(backups, made.backup, made.record, sample=0, reports=WorkReports(), server=server)
    assert report.problems.first == []
    assert [note.partition(":")[0] for note in report.notes if "public.notes: not Moorage's" in note] == [
        "control",
        "registry",
    ]


def test_one_database_for_both_is_refused_while_it_can_still_be_mended(tmp_path: Path, postgres: Postgres) -> None:
    name = postgres.create_database()
    before = write_places(tmp_path / "before", postgres, registry=name, control=name)
    asyncio.run(up(settings_for(postgres, name), Wish()))
    make_old_control(before)
    with pytest.raises(BackupRefused, match="registry and control plane are in one database"):
        backed_up(before, BackupFolder(tmp_path / "backups"))
