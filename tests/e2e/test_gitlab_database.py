"""The database of GitLab's own registry is taken over; its tables are those of ``support/gitlab_schema.py``."""

from pathlib import Path
from typing import cast

from e2e.databases import sqlite_config
from e2e.images import Image, Index, build_image
from e2e.tagged import Tagged, assert_serves, one_of_each_kind
from e2e.test_import import DATABASE_LOCK, FILESYSTEM_LOCK, command, done, refusal
from e2e.wire import Wire
from support.daemon import Daemon
from support.gitlab_schema import Row, repository, schema
from support.postgres import Postgres

OPTION = "--from-gitlab-database"


def rows_of(tagged: Tagged) -> list[Row]:
    images = [image for what in tagged.values() for image in (what.images if isinstance(what, Index) else (what,))]
    indexes = [what.manifest for what in tagged.values() if isinstance(what, Index)]
    rows = {
        image.manifest.digest: Row(
            image.manifest.digest,
            image.manifest.media_type,
            image.manifest.content,
            configuration=(image.config.digest, image.config.content),
            blobs={blob.digest: len(blob.content) for blob in image.blobs},
        )
        for image in images
    }
    return [*rows.values(), *(Row(each.digest, each.media_type, each.content) for each in indexes)]


def store(folder: Path, images: "list[Image]") -> None:
    """Only blobs are in GitLab's storage: manifests are in its database alone."""
    for image in images:
        for blob in image.blobs:
            algorithm, _, encoded = blob.digest.partition(":")
            path = folder / "data/docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blob.content)


def test_the_database_of_gitlabs_registry_is_taken_over_and_everything_can_be_pulled(
    tmp_path: Path, postgres: Postgres
) -> None:
    tagged, gone = one_of_each_kind(), build_image("gone", layers=2)
    images = [image for what in tagged.values() for image in (what.images if isinstance(what, Index) else (what,))]
    store(tmp_path, [*images, gone])
    lost = gone.layers[0].digest.removeprefix("sha256:")
    (tmp_path / "data/docker/registry/v2/blobs/sha256" / lost[:2] / lost / "data").unlink()
    dbname = postgres.create_database()
    postgres.psql(schema(), dbname)
    tags = {tag: what.manifest.digest for tag, what in tagged.items()}
    postgres.psql(repository("lib/app", rows_of(tagged), tags), dbname)
    postgres.psql(repository("lib/app/sub", rows_of(tagged), tags), dbname)
    postgres.psql(repository("lib/deleted", rows_of(tagged), tags, is_deleted=True), dbname)
    postgres.psql(repository("odd/lost", rows_of({"gone": gone}), {"gone": gone.manifest.digest}), dbname)
    dsn, config = postgres.dsn(dbname), sqlite_config(tmp_path, tmp_path / "moorage.db")

    dry = done(tmp_path, config, OPTION, dsn, "--dry-run")
    assert (dry["tags"], dry["manifests"], dry["left_out_count"]) == (9, 17, 1)
    assert not (tmp_path / "moorage.db").exists()
    found = done(tmp_path, config, OPTION, dsn)
    assert (found["repositories"], found["tags"], found["manifests"]) == (3, 9, 17)
    assert [each["kind"] for each in cast("list[dict[str, str]]", found["left_out"])] == ["blob-missing"]
    assert (tmp_path / "data" / DATABASE_LOCK).exists()
    assert not (tmp_path / "data" / FILESYSTEM_LOCK).exists()
    assert "has tags already" in refusal(tmp_path, config, OPTION, dsn)
    with Daemon(tmp_path, config=config) as daemon:
        wire = Wire(daemon.address)
        assert wire.catalogue() == ["lib/app", "lib/app/sub", "odd/lost"]
        for name in ("lib/app", "lib/app/sub"):
            assert_serves(wire, name, tagged)
        assert wire.manifest("odd/lost", "gone").body == gone.manifest.content


def test_another_database_and_storage_with_link_files_are_refused(tmp_path: Path, postgres: Postgres) -> None:
    config, dbname = sqlite_config(tmp_path, tmp_path / "moorage.db"), postgres.create_database()
    (tmp_path / "data").mkdir()
    assert "no tables of GitLab's registry" in refusal(tmp_path, config, OPTION, postgres.dsn(dbname))
    ended = command(tmp_path, config, OPTION, "postgresql://somebody:s3cret@127.0.0.1:1/registry")
    assert ended.returncode == 1
    assert "cannot be reached" in ended.stderr
    assert "s3cret" not in ended.stderr + ended.stdout
    postgres.psql(schema(), dbname)
    lock = tmp_path / "data" / FILESYSTEM_LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    assert "images are in link files" in refusal(tmp_path, config, OPTION, postgres.dsn(dbname))
    assert "without steps" in refusal(tmp_path, config, OPTION, postgres.dsn(dbname), "-2")
