"""What an administrator does with a registry, on each vendor's service: collect, purge, check and repair, read only.

Each is tested in all its ways on a disk; here it is that the driver does what each of them asks of it.
"""

import asyncio
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import yaml

from e2e.images import Image, build_image
from e2e.wire import Wire, eventually
from moorage.config import GCSSection
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.gcs.opening import open_bucket
from support.azurite import ACCOUNT, CONTAINER, KEY, driver_on, shared_azurite
from support.checking import checked, differences
from support.collecting import collected
from support.daemon import Daemon
from support.gcs_fake import GCSFake
from support.postgres import Postgres, migrated
from support.s3_stores import new_driver, new_root, parameters_of, seaweed

REPOSITORY = "group/app"
OLD_UPLOAD = "/docker/registry/v2/repositories/group/app/_uploads/9a3f77d0-5a1b-4f7e-8f0a-0c0c0c0c0c0c"
DEADLINE_S = 120.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """An empty place at a vendor's service: as a configuration names it, and for tests that look there themselves."""

    section: dict[str, object]
    open: Callable[[], StorageDriver]

    def ask(self, question: Callable[[StorageDriver], Awaitable[_T]]) -> _T:
        """Ask the service past the registry."""

        async def asked() -> _T:
            driver = self.open()
            try:
                return await question(driver)
            finally:
                await driver.close()

        return asyncio.run(asked())

    def digests(self) -> set[str]:
        """The blobs whose bytes are there."""

        async def listed(driver: StorageDriver) -> set[str]:
            return {path.split("/")[-2] async for page in driver.all_below(paths.BLOBS) for path, _ in page}

        return {f"sha256:{encoded}" for encoded in self.ask(listed)}


def _s3() -> Place:
    server, root = seaweed(), new_root()
    section = parameters_of(server, root)
    return Place({"s3": section}, lambda: new_driver(server, rootdirectory=root))


def _azure() -> Place:
    running, root = shared_azurite(), secrets.token_hex(6)
    section = {
        "accountname": ACCOUNT,
        "accountkey": KEY,
        "container": CONTAINER,
        "serviceurl": running.url,
        "rootdirectory": root,
    }
    return Place({"azure": section}, lambda: driver_on(running, rootdirectory=root))


@pytest.fixture(params=["s3", "gcs", "azure"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param != "gcs":
        yield {"s3": _s3, "azure": _azure}[request.param]()
        return
    with GCSFake() as fake:
        fake.make()
        fake.takes_anyone = True
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake.url)  # Commands are processes of their own.
        yield Place({"gcs": {"bucket": "registry"}}, lambda: open_bucket(GCSSection(bucket="registry")))


def config_over(place: Place, database: dict[str, object], maintenance: dict[str, object]) -> str:
    storage = {
        **place.section,
        "delete": {"enabled": True},
        "redirect": {"disable": True},
        "maintenance": maintenance,
    }
    quick = {"interval": "100ms"}
    gc = {"maxbackoff": "200ms", "blobs": quick, "manifests": quick}
    return yaml.safe_dump({"version": 0.1, "storage": storage, "database": database, "gc": gc})


def push_two(wire: Wire) -> tuple[Image, Image]:
    """Push two images, and delete the second."""
    kept, gone = build_image("kept", layers=2), build_image("gone", layers=2)
    for tag, image in {"kept": kept, "gone": gone}.items():
        wire.push_image(REPOSITORY, tag, image)
    assert wire.delete(REPOSITORY, "manifests", gone.manifest.digest).status == 202
    return kept, gone


def _review(amount: str) -> list[str]:
    return [
        f"UPDATE {queue} SET review_after = review_after - {amount}"  # noqa: S608 - our tables
        for queue in ("gc_manifest_review_queue", "gc_blob_review_queue")
    ]


@dataclass(frozen=True, slots=True)
class Metadata:
    """A database: as a configuration names it, and how all that is to be reviewed has been so for a month."""

    section: dict[str, object]
    pass_a_month: Callable[[], object]


@pytest.fixture
def metadata(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Metadata:
    """PostgreSQL beside S3, SQLite beside the others: a driver knows of neither."""
    if "s3" in place.section:
        postgres: Postgres = request.getfixturevalue("postgres")
        dbname = migrated(postgres)
        section = yaml.safe_load(postgres.config_section(dbname))["database"]
        return Metadata(section, lambda: postgres.psql(";".join(_review("interval '30 days'")), dbname))
    path = tmp_path / "registry.db"

    def pass_() -> None:
        with closing(sqlite3.connect(path, timeout=DEADLINE_S)) as connection, connection:
            for statement in _review(str(timedelta(days=30) // timedelta(microseconds=1))):
                connection.execute(statement)

    return Metadata({"enabled": True, "sqlite": str(path)}, pass_)


def test_a_registry_with_a_database_is_collected_purged_checked_repaired_and_read(
    tmp_path: Path, place: Place, metadata: Metadata
) -> None:
    purging: dict[str, object] = {
        "uploadpurging": {"enabled": True, "age": "24h", "interval": "1s", "dryrun": False},
    }
    place.ask(lambda driver: driver.put(f"{OLD_UPLOAD}/startedat", b"2020-01-01T00:00:00Z"))
    place.ask(lambda driver: driver.put(f"{OLD_UPLOAD}/data", b"half of a layer"))
    config = config_over(place, metadata.section, purging)
    with Daemon(tmp_path, config=config, workers=1, has_folder=False) as daemon:
        kept, _ = push_two(Wire(daemon.address))
        needed = {blob.digest for blob in kept.blobs}

        def is_collected() -> bool:
            metadata.pass_a_month()  # What one review finds is due in a day again.
            return place.digests() == needed

        eventually("the bytes that nothing needs are gone", is_collected, within_s=DEADLINE_S, every_s=0.3)
        eventually(
            "the old upload is purged",
            lambda: not place.ask(lambda driver: driver.exists(OLD_UPLOAD)),
            within_s=DEADLINE_S,
            every_s=0.3,
        )
    damaged, whole = kept.layers[0], kept.layers[1]
    path = paths.blob(Digest.parse(damaged.digest))
    place.ask(lambda driver: driver.put(path, bytes(len(damaged.content))))
    found = checked("--verify-digests", "--repair", tmp_path / "config.yml", status=1)
    assert differences(found) == {("digest-differs", damaged.digest)}
    assert place.digests() == needed - {damaged.digest}, "it is in quarantine"
    with Daemon(
        tmp_path,
        config=config_over(place, metadata.section, {"readonly": {"enabled": True}}),
        workers=1,
        has_folder=False,
    ) as daemon:
        wire = Wire(daemon.address)
        assert wire.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/").status == 405
        assert wire.delete(REPOSITORY, "manifests", kept.manifest.digest).status == 405
        assert wire.manifest(REPOSITORY, "kept").body == kept.manifest.content
        assert wire.blob(REPOSITORY, whole.digest).body == whole.content
        assert wire.blob(REPOSITORY, damaged.digest).status == 404


@pytest.mark.parametrize("place", ["gcs", "azure"], indirect=True)  # S3 is in test_s3.py.
def test_a_registry_with_link_files_is_collected_offline_and_checked(tmp_path: Path, place: Place) -> None:
    config = config_over(place, {"enabled": False}, {})
    with Daemon(tmp_path, config=config, workers=1, has_folder=False) as daemon:
        kept, _ = push_two(Wire(daemon.address))
    collected(tmp_path / "config.yml")
    assert place.digests() == {part.digest for part in kept.parts}
    assert checked("--verify-digests", tmp_path / "config.yml", status=0)["first"] == []
