"""Places of the metadata: the one that a start has chosen, for the code that opens it."""

from dataclasses import dataclass, field

from moorage.sql.database_place import DatabasePlace
from moorage.work.text_pipe import TextPipe


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutStore:
    """Link files in storage."""

    must_claim: bool = False
    """True if ``filesystem-in-use`` must be written before the first manifest (see ``storage/locks.py``): a registry
    without images starts without it, and a database must not be started beside the first one."""
    mark: bytes = field(default=b"", compare=False)
    """Content of ``filesystem-in-use`` at the start: a storage that says something else is then another one."""


@dataclass(frozen=True, slots=True)
class DatabaseStore:
    """A database that was checked: its schema is one that this version can use."""

    place: DatabasePlace
    identity: str = field(default="", compare=False)
    """The database's name, as noted in storage; empty: that was not looked at."""
    wishes: TextPipe | None = field(default=None, compare=False)
    """By which all processes tell the one that takes over link files what is read of them; None: none are taken."""

    @property
    def adopting(self) -> bool:
        """True if link files are the truth about whatever the database has not taken over yet."""
        return self.wishes is not None


Store = LayoutStore | DatabaseStore
