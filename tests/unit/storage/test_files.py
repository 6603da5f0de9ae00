"""What an error of the system becomes."""

import errno
import os

import pytest

from moorage.errors import BackendError, PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.system_calls import as_storage_error

NUMBERS: list[tuple[int, type[BackendError], type[BackendError]]] = [
    # What the system says, what that is where something must exist, and where something should be made.
    (errno.ENOENT, PathUnknown, StorageUnavailable),
    (errno.ENOTDIR, PathUnknown, StorageUnavailable),
    (errno.EISDIR, PathUnknown, StorageUnavailable),
    (errno.ENXIO, PathUnknown, StorageUnavailable),
    (errno.ENAMETOOLONG, PathUnknown, StorageUnavailable),
    (errno.ENOSPC, StorageFull, StorageFull),
    (errno.EDQUOT, StorageFull, StorageFull),
    (errno.EFBIG, StorageFull, StorageFull),
    (errno.EIO, StorageUnavailable, StorageUnavailable),
    (errno.EROFS, StorageUnavailable, StorageUnavailable),
    (errno.EACCES, StorageUnavailable, StorageUnavailable),
    (errno.EPERM, StorageUnavailable, StorageUnavailable),
    (errno.EXDEV, StorageUnavailable, StorageUnavailable),
    (errno.ELOOP, PathUnknown, StorageUnavailable),
    (errno.EEXIST, StorageUnavailable, StorageUnavailable),
    (errno.ESTALE, StorageUnavailable, StorageUnavailable),
    (errno.EMFILE, StorageUnavailable, StorageUnavailable),
    (errno.ENOLCK, StorageUnavailable, StorageUnavailable),
]


@pytest.mark.parametrize(("number", "found", "made"), NUMBERS, ids=lambda value: errno.errorcode.get(value, ""))
def test_each_error_of_the_system_is_one_of_ours(
    number: int, found: type[BackendError], made: type[BackendError]
) -> None:
    exc = OSError(number, os.strerror(number))
    assert type(as_storage_error(exc, "/a", must_exist=True)) is found
    assert type(as_storage_error(exc, "/a", must_exist=False)) is made


def test_the_reason_names_the_path_and_the_error() -> None:
    exc = OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert str(as_storage_error(exc, "/a/b", must_exist=False)) == "/a/b: Read-only file system (EROFS)"


def test_an_error_without_a_number_is_told_too() -> None:
    assert str(as_storage_error(OSError("odd"), "/a", must_exist=True)) == "/a: odd (no number)"
