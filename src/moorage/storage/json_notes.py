"""Notes in storage that say what is going on with it: each a small JSON object at a path of its own."""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from moorage.errors import PathUnknown
from moorage.storage.base import StorageDriver

_LENGTH_LIMIT = 4096

_Note = TypeVar("_Note")


async def read_note(
    storage: StorageDriver, path: str, make: Callable[[Mapping[str, Any]], _Note], *, unreadable: _Note | None
) -> _Note | None:
    """Return what *make* makes of the note at *path*; None: there is none. *unreadable*: nobody can read it.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    try:
        return make(json.loads(await storage.get(path, limit_bytes=_LENGTH_LIMIT)))
    except PathUnknown:
        return None
    except (ValueError, KeyError, TypeError):
        return unreadable


async def write_note(storage: StorageDriver, path: str, content: Mapping[str, Any]) -> None:
    """Write the note at *path*; durable on return."""
    await storage.put(path, json.dumps(content).encode())


async def forget_note(storage: StorageDriver, path: str) -> None:
    """Remove the note at *path*, if it is there: what it tells of is done."""
    with contextlib.suppress(PathUnknown):
        await storage.delete(path)
