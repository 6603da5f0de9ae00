"""A note in storage of an import that is not done, so that the next one knows whose work it goes on with.

It stays between the steps: a database that it names has nothing but what was imported from this storage.
"""

import contextlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.json_notes import read_note, write_note


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportNote:
    """The state of an import into one database."""

    database: str
    """The database's name, as storage notes it too."""
    takes_tags: bool = False
    """True from the moment on when tags may be in the database, until all of them are."""
    pre_import_began_at: str = ""
    """The moment at which the pre-import began that is not done; empty: there is none."""
    pre_imported_until: str = ""
    """The last repository that it has taken over."""

    @classmethod
    async def read(cls, storage: StorageDriver) -> Self | None:
        """Read the note; None: there is none, or nobody can read it.

        Raises:
            StorageUnavailable: that cannot be found out.
        """
        return await read_note(
            storage,
            paths.IMPORT,
            lambda value: cls(**{name: value[name] for name in cls.__dataclass_fields__}),
            unreadable=None,
        )

    async def write(self, storage: StorageDriver) -> None:
        """Write the note; durable on return."""
        await write_note(storage, paths.IMPORT, asdict(self))

    def until_if_recent(self, recent: timedelta) -> str:
        """Return the repository behind which a pre-import goes on; empty: it begins at the first one."""
        with contextlib.suppress(ValueError):
            if datetime.now(UTC) - datetime.fromisoformat(self.pre_import_began_at) < recent:
                return self.pre_imported_until
        return ""
