"""Backups of two registries in one folder: none is made there by mistake, and none is brought back for the other."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.backup.backing_up import MadeBackup, make_backup
from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused
from moorage.backup.backup_record import BackupRecord, digest_of_record, read_record, write_record
from moorage.backup.places import read_places, read_targets
from moorage.backup.restoring import restore
from moorage.backup.same_registry import see_that_it_is_the_same
from moorage.cli.app import app
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from unit.backup.test_backups import NOBODY, Site, backups, make, site, store, tried, write_config

__all__ = ["backups", "site", "store"]

SQLITE = pytest.mark.parametrize("site", ["sqlite"], indirect=True)
LINKS = pytest.mark.parametrize("site", ["layout"], indirect=True)


@pytest.fixture
def fresh(tmp_path: Path, store: str) -> Site:
    """An empty registry, as one is that was started where a volume was not mounted."""
    folder = tmp_path / "fresh"
    write_config(folder, store)
    (folder / "storage").mkdir()
    if store == "sqlite":
        migrate_sqlite(folder / "moorage.db")
    return Site(folder, {})


def made_nevertheless(site: Site, folder: BackupFolder) -> MadeBackup:
    places = read_places(site.config, None)
    return asyncio.run(make_backup(places, folder, with_blobs=None, reports=NOBODY, may_be_another=True))


def test_an_empty_registry_in_the_place_of_another_is_not_backed_up_beside_it(
    site: Site, backups: BackupFolder, fresh: Site
) -> None:
    made = make(site, backups)
    with pytest.raises(BackupRefused, match=r"is the volume mounted.* --another-registry"):
        make(fresh, backups)
    assert backups.names() == [made.backup.path.name]
    assert make(site, backups).record.identity == made.record.identity
    assert make(fresh, BackupFolder(backups.path / "other")).record.blobs.count == 0


async def pushed(site: Site, content: bytes) -> Digest:
    storage, digest = FilesystemDriver(site.folder / "storage"), Digest.of(content)
    await storage.put(paths.blob(digest), content)
    await storage.close()
    return digest


@LINKS
def test_of_link_files_the_blobs_tell_whose_they_are(site: Site, backups: BackupFolder, fresh: Site) -> None:
    asyncio.run(pushed(fresh, b"another registry's"))
    make(site, backups)
    with pytest.raises(BackupRefused, match="none of the blobs of"):
        make(fresh, backups)
    (backups.path / "other").mkdir()
    others = BackupFolder(backups.path / "other")
    make(fresh, others)
    asyncio.run(pushed(fresh, b"more"))
    assert make(fresh, others).record.blobs.count == 2


@SQLITE
def test_with_the_option_it_is_made_and_each_goes_on_but_a_restore_wants_to_know_which(
    *, site: Site, backups: BackupFolder, fresh: Site, tmp_path: Path
) -> None:
    first, other = make(site, backups), made_nevertheless(fresh, backups)
    second, last = make(site, backups), make(fresh, backups)
    config = write_config(tmp_path / "after", "sqlite")
    words = ["restore", str(backups.path), "--to", str(config)]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    for one in (second, last):
        assert f"{one.backup.path.name} (configuration in {one.record.folder}, blobs: " in refused.output
    for one in (first, other):
        assert f"{one.backup.path.name} (" not in refused.output
    assert not (config.parent / "storage").exists()
    done = CliRunner().invoke(app, [*words, "--backup", second.backup.path.name])
    assert (done.exit_code, make(Site(config.parent, {}), backups).record.identity) == (0, first.record.identity)
    assert any(f"--backup {last.backup.path.name}" in note for note in tried(second, backups).notes)


def as_before(made: MadeBackup) -> None:
    """Give a backup the record that an older Moorage has written."""
    content = json.loads(made.backup.record.read_text())["backup"]
    content.pop("identity", None)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    made.backup.record.write_text(json.dumps({"sha256": digest, "backup": content}))


def test_after_an_upgrade_backups_go_on_in_their_folder_and_restores_that_were_begun_too(
    site: Site, backups: BackupFolder, store: str
) -> None:
    made = make(site, backups)
    as_before(made)
    older = read_record(made.backup.record)
    assert older.identity == ""
    assert digest_of_record(older) == json.loads(made.backup.record.read_text())["sha256"]
    newer = make(site, backups).record
    assert bool(newer.identity) == (store == "sqlite")
    assert digest_of_record(newer) == json.loads((backups.chosen().record).read_text())["sha256"]
    assert make(site, backups).record.identity == newer.identity


def test_a_registry_that_was_restored_goes_on_in_the_folder_of_its_backups(
    site: Site, backups: BackupFolder, tmp_path: Path, store: str
) -> None:
    made, config = make(site, backups), write_config(tmp_path / "after", store)
    asyncio.run(restore(backups, made.backup, read_targets(config, None), record=made.record, reports=NOBODY))
    assert make(Site(config.parent, {}), backups).record.identity == made.record.identity


def listed(folder: BackupFolder, record: BackupRecord, identity: str, blobs: str) -> None:
    """Make a backup that is no more than a list of blobs."""
    one = folder.begin()
    one.blob_list.write_text("".join(BackupBlob(Digest.of(text.encode()), 1).to_line() for text in blobs))
    counted = record.blobs.model_copy(update={"count": len(blobs)})
    write_record(one.record, record.model_copy(update={"identity": identity, "blobs": counted}))


@pytest.mark.parametrize(
    ("before", "now", "is_taken"),
    [
        (("", "abc"), ("new", "cde"), True),  # Link files were imported or adopted.
        (("old", "abc"), ("", "cde"), True),  # A database was exported.
        (("old", "abc"), ("", "de"), False),
        (("", "abc"), ("new", "de"), False),
        (("old", "abc"), ("old", "de"), True),  # All was deleted and collected.
        (("old", "abc"), ("new", "abc"), False),  # Images of one registry were copied to the other one.
        (("old", ""), ("new", "abc"), True),  # Nothing is lost.
        (("", ""), ("", "abc"), True),
    ],
)
def test_what_passes_for_the_same_registry(
    *, site: Site, backups: BackupFolder, before: tuple[str, str], now: tuple[str, str], is_taken: bool
) -> None:
    record = make(site, BackupFolder(backups.path / "other")).record
    listed(backups, record, *before)
    backups.finish(backups.new_name())
    listed(backups, record, *now)
    if is_taken:
        see_that_it_is_the_same(backups, backups.unfinished, now[0])
    else:
        with pytest.raises(BackupRefused, match="--another-registry"):
            see_that_it_is_the_same(backups, backups.unfinished, now[0])


@SQLITE
def test_a_backup_whose_record_or_list_is_damaged_keeps_no_other_from_being_made(
    site: Site, backups: BackupFolder
) -> None:
    first, second = make(site, backups), make(site, backups)
    second.backup.record.write_text("{")
    first.backup.blob_list.write_text("[")
    as_before(first)
    assert make(site, backups).record.identity == first.record.identity


@LINKS
def test_an_empty_backup_after_one_that_is_not_is_not_brought_back_unasked(
    *, site: Site, backups: BackupFolder, fresh: Site, tmp_path: Path
) -> None:
    made, empty = make(site, backups), made_nevertheless(fresh, backups)
    as_before(empty)  # An older Moorage has made it without a word.
    config = write_config(tmp_path / "after", "layout")
    words = ["restore", str(backups.path), "--to", str(config)]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert all(f"{one.backup.path.name} (" in refused.output for one in (made, empty))
    assert CliRunner().invoke(app, [*words, "--backup", made.backup.path.name]).exit_code == 0
    alone = BackupFolder(tmp_path / "alone")
    make(fresh, alone)
    config = write_config(tmp_path / "empty", "layout")
    assert CliRunner().invoke(app, ["restore", str(alone.path), "--to", str(config)]).exit_code == 0
