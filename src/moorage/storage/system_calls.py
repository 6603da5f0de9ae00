"""Calls of the system on behalf of storage: their errors in its terms, and those that run in a thread."""

import asyncio
import contextlib
import errno
from concurrent.futures import Future
from typing import TypeVar

from moorage.errors import BackendError, PathUnknown, StorageFull, StorageUnavailable
from moorage.room import NO_ROOM
from moorage.telemetry import get_log

_NEITHER = frozenset({errno.ELOOP, errno.ENXIO})
"""A loop of symbolic links; a pipe, a socket or a device: nobody has stored an object as one."""

_NOT_THERE = _NEITHER | {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}

_log = get_log("storage")

_T = TypeVar("_T")


def as_storage_error(exc: OSError, path: str, *, must_exist: bool) -> BackendError:
    """Return an error of the system in the terms of the storage interface.

    Args:
        exc: the error.
        path: the storage path that it was about.
        must_exist: whether *path* names something to be found: a name that cannot be is then only unknown. Where
            something should be made, it is a failure.
    """
    if exc.errno in _NEITHER:
        _log.warning("what lies there is neither a file nor a folder; it is left out", path=path, reason=exc.strerror)
    if must_exist and exc.errno in _NOT_THERE:
        return PathUnknown(path)
    reason = f"{path}: {exc.strerror or exc} ({errno.errorcode.get(exc.errno or 0, 'no number')})"
    return StorageFull(reason) if exc.errno in NO_ROOM else StorageUnavailable(reason)


async def result_of(future: Future[_T]) -> _T:
    """Wait for a call in a thread, and return its result.

    A caller that is cancelled is held until the call is over, if it has begun: nothing changes behind the back of
    whoever comes next, and a descriptor is not closed while it is used.
    """
    waiting = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        future.cancel()
        while not waiting.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([waiting])
        raise
