"""How far a check is, kept in storage, so that one that was ended can go on; and the file with all differences."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter, ValidationError

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.integrity.findings import Finding, Tally
from moorage.storage import paths
from moorage.storage.base import StorageDriver

SAVE_INTERVAL_S = 5.0


@dataclass(slots=True, kw_only=True)
class State:
    """How far a check is. All before the position is counted in the tally, and nothing after it."""

    version: Literal[1] = 1
    store: str
    """Where the metadata is: ``database`` or ``layout``."""
    verifies: bool
    """Whether bytes are hashed."""
    started_at: datetime
    phase: str = ""
    position: str = ""
    """Where in the phase; empty: at its beginning."""
    tally: Tally = field(default_factory=Tally)
    report_bytes: int | None = None
    """How much of the report file belongs to this; None: there was none."""


_STATE = TypeAdapter(State)


class Watcher(Protocol):
    """Is told how a check goes on, for people."""

    def moved(self, phase: str, share: float, tally: Tally) -> None:
        """So much of a phase is done, from 0 to 1."""


class Report:
    """A file with every difference, one JSON object a line."""

    def __init__(self, path: Path, *, keep_bytes: int | None) -> None:
        """*keep_bytes*: how much of what is there stays; None: nothing.

        Raises:
            OSError: it cannot be written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o666), "wb")
        self._file.truncate(keep_bytes or 0)
        self._file.seek(0, os.SEEK_END)

    def write(self, finding: Finding) -> None:
        """Add a line."""
        self._file.write(json.dumps(as_json(finding)).encode() + b"\n")

    def settle(self) -> int:
        """Make it durable, and return how long it is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Progress:
    """What a check has found and how far it is; saved now and then, so that it can go on after it was ended."""

    def __init__(
        self, storage: StorageDriver, state: State, watcher: Watcher | None = None, report: Report | None = None
    ) -> None:
        self.state = state
        self.unsaved = ""
        """Why it could not be saved how far it is; then it goes on all the same."""
        self._storage = storage
        self._watcher = watcher
        self._report = report
        self._is_settled = True
        self._saved_at = time.monotonic()

    @property
    def tally(self) -> Tally:
        """What was found so far."""
        return self.state.tally

    def found(self, finding: Finding) -> None:
        """A difference; to be called without a pause with the others before the next position."""
        self.tally.add(finding)
        if self._report is not None:
            self._report.write(finding)

    def moved(self, share: float) -> None:
        """Tell whoever watches; nothing is settled by it."""
        if self._watcher is not None:
            self._watcher.moved(self.state.phase, share, self.tally)

    def hold(self) -> None:
        """What is found from now on counts when the next position is reached, and not before."""
        self._is_settled = False

    async def reached(self, phase: str, position: str = "") -> None:
        """All before this position is counted. It is saved if that was not done for a while."""
        self.state.phase, self.state.position = phase, position
        self._is_settled = True
        if time.monotonic() - self._saved_at >= SAVE_INTERVAL_S:
            await self.save()

    async def save(self) -> None:
        """Write how far it is; in the middle of something, what was saved before it stays."""
        if not self._is_settled:
            return
        if self._report is not None:
            self.state.report_bytes = self._report.settle()
        self._saved_at = time.monotonic()
        try:
            await self._storage.put(paths.CHECK, _STATE.dump_json(self.state))
        except BackendError as exc:
            self.unsaved = str(exc)

    async def finish(self) -> None:
        """It has come to its end: there is nothing to go on with."""
        if self._report is not None:
            self._report.settle()
        try:
            await self._storage.delete(paths.CHECK)
        except PathUnknown:
            return
        except BackendError as exc:
            self.unsaved = str(exc)


async def unfinished(storage: StorageDriver) -> State | None:
    """How far a check is that was not finished; None: there is none.

    Raises:
        StorageUnavailable: it cannot be read.
    """
    try:
        return _STATE.validate_json(await storage.get(paths.CHECK))
    except PathUnknown:
        return None
    except ValidationError as exc:
        msg = f"{paths.CHECK} was not written by this version; start without --resume"
        raise StorageUnavailable(msg) from exc


def new_state(*, store: str, verifies: bool) -> State:
    """The beginning of a check."""
    return State(store=store, verifies=verifies, started_at=datetime.now(UTC))


def as_json(finding: Finding) -> Mapping[str, object]:
    """A difference for scripts; what does not apply is left out."""
    found = {
        "kind": finding.kind.value,
        "subject": finding.subject,
        "bytes": finding.size_bytes,
        "repository": finding.repository,
        "detail": finding.detail,
        "repair": finding.repair,
    }
    return {name: value for name, value in found.items() if value != ""}
