"""A note in storage of an adoption that goes on: which database takes its link files over.

While it is there both lock files are, so that nobody starts who does not know of it.
"""

import contextlib
import json
from dataclasses import dataclass
from typing import Self

from moorage.errors import PathUnknown
from moorage.storage import paths
from moorage.storage.base import StorageDriver

_LENGTH_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class AdoptionNote:
    """An adoption into one database."""

    database: str
    """Its name, as storage notes it too; empty: the note cannot be read."""

    @classmethod
    async def read(cls, storage: StorageDriver) -> Self | None:
        """Read the note; None: there is none.

        Raises:
            StorageUnavailable: that cannot be found out.
        """
        try:
            value = json.loads(await storage.get(paths.ADOPTION, limit_bytes=_LENGTH_LIMIT))
            return cls(str(value["database"]))
        except PathUnknown:
            return None
        except (ValueError, KeyError, TypeError):
            return cls("")

    async def write(self, storage: StorageDriver) -> None:
        """Write the note; durable on return."""
        await storage.put(paths.ADOPTION, json.dumps({"version": 1, "database": self.database}).encode())


async def forget(storage: StorageDriver) -> None:
    """Remove the note: the adoption is done."""
    with contextlib.suppress(PathUnknown):
        await storage.delete(paths.ADOPTION)
