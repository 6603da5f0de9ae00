"""A note in storage of a restore that is not done: which backup is being brought back, and into which databases.

It is the first that a restore writes and the last that it removes. What is there while it is has a part of the images,
and passes for whole; so nothing is served, collected, copied or taken over from there.
"""

from dataclasses import asdict, dataclass
from typing import Self

from moorage.storage import locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.json_notes import read_note, write_note


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreNote:
    """A restore on its way."""

    backup: str
    """The backup's name; empty: the note cannot be read."""
    record: str = ""
    """The digest of the backup's record."""
    places: str = ""
    """The databases that it goes into."""
    has_control: bool = False
    """True once the control plane's database is whole."""

    @classmethod
    async def read(cls, storage: StorageDriver) -> Self | None:
        """Read the note; None: there is none.

        Raises:
            StorageUnavailable: that cannot be found out.
        """
        return await read_note(
            storage,
            paths.RESTORE,
            lambda value: cls(**{name: value[name] for name in cls.__dataclass_fields__}),
            unreadable=cls(backup=""),
        )

    async def write(self, storage: StorageDriver) -> None:
        """Write the note; durable on return."""
        await write_note(storage, paths.RESTORE, asdict(self))

    @property
    def said(self) -> str:
        """The refusal for somebody who wants to use the storage, with what to do."""
        which = f" of the backup {self.backup}" if self.backup else ""
        return (
            f"a restore{which} onto this storage was not finished ({paths.RESTORE.lstrip('/')}), so that a part of the "
            "images is missing: give the same 'moorage restore' again, which goes on, or empty the storage"
        )


async def refusal_by_restore(storage: StorageDriver) -> str:
    """Return the refusal for a registry that others can see by now; empty: there is no restore in its way.

    A restore writes its note first and looks for others then; who serves is seen first and looks for the note then. So
    of two that begin at once, at least one sees the other.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    note = await RestoreNote.read(storage) if locks.are_enforced() else None
    return "" if note is None else note.said
