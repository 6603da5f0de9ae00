"""A note in storage of an adoption that goes on: which database takes its link files over.

While it is there both lock files are, so that nobody starts who does not know of it.
"""

from dataclasses import dataclass
from typing import Self

from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.json_notes import read_note, write_note


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
        return await read_note(storage, paths.ADOPTION, lambda value: cls(str(value["database"])), unreadable=cls(""))

    async def write(self, storage: StorageDriver) -> None:
        """Write the note; durable on return."""
        await write_note(storage, paths.ADOPTION, {"version": 1, "database": self.database})
