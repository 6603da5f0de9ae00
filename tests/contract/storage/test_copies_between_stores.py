"""A storage copied from a folder to each vendor's service and back, and what must not be copied onto what."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from moorage.copying.outcome import CopyOutcome
from moorage.errors import ConfigurationError
from moorage.oci.names import RepositoryName, Tag
from moorage.starting.copy_start import CopyWish, read_places, run_copy
from moorage.storage import identity, locks, paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.locks import Lock
from moorage.storage.presence import Activity, announce
from moorage.work.reports import WorkReports
from support.azurite import ACCOUNT, CONTAINER, KEY, shared_azurite
from support.gcs_fake import GCSFake
from support.s3_stores import new_driver, new_root, seaweed
from support.trees import REPOSITORY, broken, everything, push

LARGE = bytes(range(256)) * (80 << 10)
"""More than a part of any of them."""


def config(folder: Path, storage: Mapping[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({"version": 0.1, "storage": dict(storage), "database": {"enabled": False}}))
    return path


def in_folder(folder: Path) -> dict[str, object]:
    return {"filesystem": {"rootdirectory": str(folder)}}


async def copied(source: Path, target: Path, **wishes: bool) -> CopyOutcome:
    outcome = CopyOutcome()
    await run_copy(read_places(source, target), CopyWish(**wishes), outcome, WorkReports())
    return outcome


@pytest.fixture(params=["s3", "gcs", "azure"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    if request.param == "gcs":
        with GCSFake() as fake:
            fake.make()
            fake.takes_anyone = True
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake.url)
            yield {"gcs": {"bucket": "registry"}}
    elif request.param == "s3":
        server = seaweed()
        keys = {"accesskey": server.access_key, "secretkey": server.secret_key, "bucket": server.bucket}
        yield {"s3": {**keys, "region": "us-east-1", "regionendpoint": server.url, "rootdirectory": new_root()}}
    else:
        account = {"accountname": ACCOUNT, "accountkey": KEY, "container": CONTAINER}
        place = {"serviceurl": shared_azurite().url, "rootdirectory": secrets.token_hex(6)}
        yield {"azure": {**account, **place, "trimlegacyrootprefix": True}}


async def test_a_folder_goes_to_each_service_and_back(service: dict[str, object], tmp_path: Path) -> None:
    old, new = FilesystemDriver(tmp_path / "old", fsync=False), FilesystemDriver(tmp_path / "new", fsync=False)
    await push(old, "1", [b"configuration", b"layer", LARGE])
    gone = await push(old, "2", [b"another", b"layer"], repository=RepositoryName("a/b/c"))
    await locks.write(old, Lock.FILESYSTEM)
    source, there = config(tmp_path / "source", in_folder(tmp_path / "old")), config(tmp_path / "there", service)
    first = await copied(source, there)
    assert (first.differing, dict(first.findings)) == ([], {})
    await old.delete(paths.tag(RepositoryName("a/b/c"), Tag("2")))
    await push(old, "3", [b"configuration", b"new"])
    second = await copied(source, there, deletes=True)
    assert (second.differing, second.copied.total(), second.deleted.total()) == ([], 6, 2)
    back = await copied(there, config(tmp_path / "back", in_folder(tmp_path / "new")))
    assert back.differing == []
    assert await everything(new) == await everything(old)
    assert await broken(new) == []
    assert (await locks.read(new)).filesystem
    assert await new.exists(paths.blob(gone.manifest)), "garbage collection decides about blobs"
    await asyncio.gather(old.close(), new.close())


async def refusal_of(source: Path, target: Path, **wishes: bool) -> str:
    with pytest.raises(ConfigurationError) as raised:
        await copied(source, target, **wishes)
    (mistake,) = raised.value.mistakes
    return str(mistake)


async def test_what_must_not_be_copied_onto_what(tmp_path: Path) -> None:
    source = config(tmp_path / "source", in_folder(tmp_path / "old"))
    target = config(tmp_path / "target", in_folder(tmp_path / "new"))
    assert "there is no folder" in await refusal_of(source, target)
    old, new = FilesystemDriver(tmp_path / "old", fsync=False), FilesystemDriver(tmp_path / "new", fsync=False)
    assert "name one place" in await refusal_of(source, source)
    assert "cannot be reached" in await refusal_of(config(tmp_path / "memory", {"inmemory": {}}), target)
    assert "wrong way round" in await refusal_of(source, target, deletes=True)
    theirs = await announce(new, Activity.WRITING)
    assert "somebody writes to the target" in await refusal_of(source, target)
    await theirs.close()
    await locks.write(old, Lock.FILESYSTEM)
    await locks.write(new, Lock.DATABASE)
    assert "are in a database" in await refusal_of(source, target)
    await locks.remove(new, Lock.DATABASE)
    await identity.write(new, "theirs")
    assert "another registry's database" in await refusal_of(source, target)
    await asyncio.gather(old.close(), new.close())


async def test_a_copy_is_not_seen_at_work_any_more_afterwards(tmp_path: Path) -> None:
    old, new = FilesystemDriver(tmp_path / "old", fsync=False), FilesystemDriver(tmp_path / "new", fsync=False)
    await push(old, "1", [b"configuration", b"layer"])
    await copied(
        config(tmp_path / "source", in_folder(tmp_path / "old")),
        config(tmp_path / "target", in_folder(tmp_path / "new")),
    )
    assert await new.list(paths.LOCK_FILES) == []
    await asyncio.gather(old.close(), new.close())


async def test_a_tree_that_another_tool_has_copied_with_empty_links_and_foreign_names_is_completed(
    tmp_path: Path,
) -> None:
    """As ``aws s3 sync``, rclone and DataSync leave it: links without content, foreign names."""
    server, root = seaweed(), new_root()
    driver = new_driver(server, rootdirectory=root)
    old = FilesystemDriver(tmp_path / "old", fsync=False)
    await push(old, "1", [b"configuration", b"layer"])
    for path, content in (await everything(old)).items():
        await driver.put(path, b"" if path.endswith("current/link") else content)
    stray = f"{paths.tags(REPOSITORY)}/stray/current/link"
    await driver.put(stray, b"")
    await driver.put(f"{paths.BLOBS}/sha256/_$folder$", b"")
    keys = {"accesskey": server.access_key, "secretkey": server.secret_key, "bucket": server.bucket}
    section = {"s3": {**keys, "region": "us-east-1", "regionendpoint": server.url, "rootdirectory": root}}
    outcome = await copied(
        config(tmp_path / "source", in_folder(tmp_path / "old")), config(tmp_path / "there", section), deletes=True
    )
    assert outcome.differing == []
    assert outcome.target.empty_links == 0
    assert not await driver.exists(stray)
    assert await driver.get(paths.tag_link(REPOSITORY, Tag("1"))) == await old.get(paths.tag_link(REPOSITORY, Tag("1")))
    await asyncio.gather(old.close(), driver.close())
