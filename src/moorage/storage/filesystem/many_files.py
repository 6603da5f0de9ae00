"""Many small files at once for the file system driver: each of these is one call in a thread.

Where nothing else is said they are the methods of the same name of the interface of storage.
"""
# ruff: noqa: PTH106, PTH108 - system calls on strings are the hot path: a Path costs more than the call

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage.base import Stat, check_path, clock, too_late
from moorage.storage.filesystem.folders import remove_with_folder, sync_folder
from moorage.storage.filesystem.opening import read_beginning, read_whole, stat_of
from moorage.storage.system_calls import as_storage_error

_FIRST_READ_BYTES = 16 << 10
"""Of many small files: nearly all are read whole by it."""

_check = check_path.__wrapped__
"""Without its cache, which is for paths that come again; of many at once each comes once."""

_T = TypeVar("_T")


def stat_each(root: str, paths: Sequence[str], *, folder: bool) -> list[Stat | None]:
    """Return the state of each path below *root*: see the interface of storage."""
    found: list[Stat | None] = []
    for path in paths:
        try:
            state = stat_of(root + _check(path))
            found.append(None if state.is_folder and not folder else state)
        except OSError as exc:
            error = as_storage_error(exc, path, must_exist=True)
            if not isinstance(error, PathUnknown):
                raise error from exc
            found.append(None)
    return found


def get_each(root: str, paths: Sequence[str], use: Callable[[int, bytes], _T], limit_bytes: int) -> list[_T | None]:
    """Return what *use* makes of each file below *root*: see the interface of storage."""
    found: list[_T | None] = []
    for number, path in enumerate(paths):
        try:
            content = read_beginning(root + _check(path), _FIRST_READ_BYTES)
            if len(content) == _FIRST_READ_BYTES:
                content = read_whole(root + path, limit_bytes)
        except OSError as exc:
            error = as_storage_error(exc, path, must_exist=True)
            if isinstance(error, PathUnknown):
                found.append(None)
                continue
            raise error from exc
        if len(content) > limit_bytes:
            msg = f"{path}: more than {limit_bytes} bytes"
            raise StorageUnavailable(msg)
        found.append(use(number, content))
    return found


def delete_each(root: str, paths: Sequence[str]) -> int:
    """Remove files below *root*, and their folders where nothing else is in them: see the interface of storage."""
    count = 0
    for folder, group in groupby(paths, key=lambda path: path.rpartition("/")[0]):
        for path in group:
            try:
                os.unlink(root + _check(path))
                count += 1
            except FileNotFoundError:
                continue  # What an end in the middle left of it is a folder, perhaps.
            except OSError as exc:
                raise as_storage_error(exc, path, must_exist=False) from exc
        with contextlib.suppress(OSError):
            os.rmdir(root + folder)
    return count


def remove_each(
    root: str, paths: Sequence[str], *, until: float, rest: float, sync: bool
) -> Mapping[str, BackendError]:
    """Remove files below *root*, as ``remove`` of the interface says, with one sync of each folder that changed."""
    failures: dict[str, BackendError] = {}
    changed: dict[str, list[str]] = {}
    rested_until = (clock() + until) / 2
    for path in paths:
        began_at, computed_s = clock(), time.thread_time()
        try:
            if began_at >= until:
                raise too_late(path)
            changed.setdefault(remove_with_folder(root + _check(path)), []).append(path)
        except StorageUnavailable as exc:
            failures[path] = exc
        except OSError as exc:
            failures[path] = as_storage_error(exc, path, must_exist=False)
        if rest and began_at < rested_until:
            time.sleep((time.thread_time() - computed_s) * rest)
    for folder, removed in changed.items() if sync else ():
        try:
            sync_folder(folder)
        except OSError as exc:
            failures |= {path: as_storage_error(exc, path, must_exist=False) for path in removed}
    return failures
