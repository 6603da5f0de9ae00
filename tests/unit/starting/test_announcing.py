"""A start beside an offline collection, where the two have different users or storage does not let everybody write."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moorage.config import defaults
from moorage.errors import ConfigurationError
from moorage.starting.announcing import announced
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.presence import Activity, announce
from support.other_user import as_other_user, storage_for_all

READ_ONLY, UNREADABLE = 0o444, 0o000
WAY_OUT = "start when it has ended, or in read-only mode: storage.maintenance.readonly.enabled: true"
SERVES = "serves"


@pytest.fixture
def root() -> Iterator[Path]:
    with storage_for_all() as path:
        yield path


@pytest.fixture
def folder(root: Path) -> Iterator[Path]:
    """Where the files are; everybody may write there."""
    found = root / paths.LOCK_FILES.lstrip("/")
    found.chmod(0o777)
    yield found
    found.chmod(0o777)


@pytest.fixture
async def collection(root: Path, folder: Path) -> AsyncIterator[Path]:
    """The file of a collection that is under way."""
    storage = FilesystemDriver(root)
    made = await announce(storage, Activity.COLLECTING)
    path = folder / made.path.rpartition("/")[2]
    path.chmod(READ_ONLY)
    yield path
    await made.close()
    await storage.close()


def begin(root: Path) -> tuple[str, list[str]]:
    """What a start says, and what is held while it serves or else left behind."""

    def held() -> list[str]:
        folder = root / paths.LOCK_FILES.lstrip("/")
        return sorted(path.name.partition("-")[0] for path in folder.iterdir())

    try:
        with announced(defaults(str(root), "127.0.0.1:0")):
            return SERVES, held()
    except ConfigurationError as exc:
        return str(exc), held()


def test_a_collection_of_another_user_keeps_a_registry_from_starting(root: Path, collection: Path) -> None:
    said, left = as_other_user(begin, root)
    assert said.startswith("storage: garbage is being collected in this storage by ")
    assert collection.name in said
    assert said.endswith(WAY_OUT)
    assert left == ["collecting"]


def test_what_a_killed_collection_of_another_user_left_does_not_keep_a_registry_from_announcing_itself(
    root: Path, folder: Path
) -> None:
    left = folder / "collecting-0123456789abcdef"
    left.touch()
    left.chmod(READ_ONLY)
    folder.chmod(0o1777)
    said, held = as_other_user(begin, root)
    assert said == SERVES
    assert "writing" in held


def test_a_file_that_cannot_be_read_keeps_a_registry_from_starting_and_is_named(root: Path, folder: Path) -> None:
    left = folder / "collecting-0123456789abcdef"
    left.touch()
    left.chmod(UNREADABLE)
    said, held = as_other_user(begin, root)
    path = f"{paths.LOCK_FILES.lstrip('/')}/{left.name}"
    assert f"{path}: Permission denied (EACCES); remove it if nobody is at work" in said
    assert held == ["collecting"]
    left.unlink()
    assert as_other_user(begin, root) == (SERVES, ["writing"])


def test_where_nobody_can_be_looked_for_a_registry_does_not_start_and_says_why(root: Path, folder: Path) -> None:
    folder.chmod(0o333)
    said = as_other_user(refusal, root)
    assert said.startswith("storage: it cannot be found out whether garbage is being collected in this storage: ")
    assert f"{paths.LOCK_FILES}: Permission denied (EACCES)" in said
    folder.chmod(0o777)
    assert list(folder.iterdir()) == []


def test_a_storage_that_takes_pushes_but_no_announcement_is_refused(root: Path, folder: Path) -> None:
    folder.chmod(0o555)
    said, left = as_other_user(begin, root)
    assert f"{paths.LOCK_FILES}/writing-" in said
    assert "Permission denied (EACCES)" in said
    assert "let the registry's user write to that folder" in said
    assert left == []


@pytest.mark.usefixtures("collection")
def test_a_storage_that_cannot_be_written_at_all_is_served(root: Path, folder: Path) -> None:
    folder.chmod(0o555)
    root.chmod(0o555)
    assert as_other_user(begin, root) == (SERVES, ["collecting"])
    root.chmod(0o777)
    folder.chmod(0o777)


def refusal(root: Path) -> str:
    """Why a registry does not start."""
    with pytest.raises(ConfigurationError) as refused, announced(defaults(str(root), "127.0.0.1:0")):
        pass
    return str(refused.value)
