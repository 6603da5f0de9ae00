"""Progress of a check, kept in storage, so that one that was ended can go on; and the file with all differences."""

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter

from moorage.errors import BackendError, MoorageError, PathUnknown, StorageUnavailable
from moorage.integrity.findings import Finding, Tally
from moorage.oci.digests import Digest, Hasher
from moorage.storage import paths
from moorage.storage.base import StorageDriver

SAVE_INTERVAL_S = 5.0

_PIECE_BYTES = 1 << 20
_PRIVATE = 0o600
"""It has names of repositories. A file that is there keeps what its owner chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """The contents of a report at a position of its check."""

    size_bytes: int
    digest: Digest
    """Of so many bytes from its beginning: a file of another check, or of another node, has another one."""


@dataclass(slots=True, kw_only=True)
class State:
    """The state of a check. All before the position is counted in the tally, and nothing after it."""

    version: Literal[1] = 1
    store: str
    """The place of the metadata: ``database`` or ``layout``."""
    verifies: bool
    """True if bytes are hashed."""
    started_at: datetime
    phase: str = ""
    position: str = ""
    """The position in the phase; empty: at its beginning."""
    tally: Tally = field(default_factory=Tally)
    report: WrittenReport | None = None
    """The part of the report file that belongs to this; None: it was left without one."""
    repairs: bool = False
    """True if what can be repaired is."""
    share: float = 0.0
    """The part of the phase that is done, from 0 to 1: for people, nothing goes on by it."""
    saved_at: datetime | None = None
    """The time at which this was written; None: by a version that did not say."""
    ended_at: datetime | None = None
    """The time at which it came to its end; None: it has not."""


_STATE = TypeAdapter(State)
_NOTHING = WrittenReport(size_bytes=0, digest=Digest.of(b""))


class Watcher(Protocol):
    """Is told how a check goes on, for people."""

    def watch(self, phase: str, share: float, tally: Tally) -> None:
        """So much of a phase is done, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownChecks:
    """The checks that storage tells of."""

    last: State | None
    """The last that came to its end."""
    begun: State | None
    """One that has not ended: it is at work, or was ended before."""


class ReportIncomplete(MoorageError):
    """A report that would lack differences that were found. Nothing was changed."""


class CheckReport:
    """A file with every difference, one JSON object a line: see :func:`report_of`."""

    def __init__(self, path: Path, kept: WrittenReport) -> None:
        """*kept*: what of the file stays.

        Raises:
            ReportIncomplete: the file does not hold that.
            OSError: it cannot be written.
        """
        self._hasher = _hashed(path, kept.size_bytes)
        if self._hasher.digest() != kept.digest:
            msg = (
                f"{path} does not hold the {kept.size_bytes:,} bytes that the unfinished check wrote to its report; "
                "put that file back, or begin anew, without --resume"
            )
            raise ReportIncomplete(msg)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _PRIVATE), "wb")
        self._file.truncate(kept.size_bytes)
        self._file.seek(kept.size_bytes)

    def write(self, finding: Finding) -> None:
        """Add a line."""
        line = json.dumps(as_json(finding)).encode() + b"\n"
        self._file.write(line)
        self._hasher.update(line)

    def settle(self) -> WrittenReport:
        """Make it durable, and return what it holds."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return WrittenReport(size_bytes=self._hasher.size_bytes, digest=self._hasher.digest())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class CheckProgress:
    """A check's findings and its position; saved now and then, so that it can go on after it was ended."""

    def __init__(
        self, storage: StorageDriver, state: State, watcher: Watcher | None = None, report: CheckReport | None = None
    ) -> None:
        self.state = state
        self.unsaved = ""
        """The reason for which its progress could not be saved; then it goes on all the same."""
        self.unkept = ""
        """The reason why its outcome could not be kept."""
        self._storage = storage
        self._watcher = watcher
        self._report = report
        self._is_settled = True
        self._saved_at = time.monotonic()

    @property
    def tally(self) -> Tally:
        """The findings so far, counted."""
        return self.state.tally

    def found(self, finding: Finding) -> None:
        """A difference; to be called without a pause with the others before the next position."""
        self.tally.add(finding)
        if self._report is not None:
            self._report.write(finding)

    def moved(self, share: float) -> None:
        """Tell the watcher; nothing is settled by it."""
        self.state.share = share
        if self._watcher is not None:
            self._watcher.watch(self.state.phase, share, self.tally)

    def hold(self) -> None:
        """Hold back what is found from now on: it counts when the next position is reached, and not before."""
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
        self.state.report = None if self._report is None else self._report.settle()
        self._saved_at = time.monotonic()
        self.state.saved_at = datetime.now(UTC)
        try:
            await self._storage.put(paths.CHECK, written(self.state))
        except BackendError as exc:
            self.unsaved = str(exc)

    async def finish(self) -> None:
        """It has come to its end: its outcome is kept, and there is nothing to go on with."""
        if self._report is not None:
            self._report.settle()
        self.state.ended_at, self.state.share = datetime.now(UTC), 1.0
        try:
            await self._storage.put(paths.CHECKED, written(replace(self.state, report=None)))
        except BackendError as exc:
            self.unkept = str(exc)
        try:
            await self._storage.delete(paths.CHECK)
        except PathUnknown:
            return
        except BackendError as exc:
            self.unsaved = str(exc)


def written(state: State) -> bytes:
    """Write a state as JSON.

    The names in it may be bytes of a folder that are no UTF-8, which pydantic's own writer refuses.
    """
    return json.dumps(_STATE.dump_python(state, mode="json")).encode()


def state_of(content: bytes) -> State:
    """Read what :func:`written` wrote.

    Raises:
        ValueError: it is no state.
    """
    return _STATE.validate_python(json.loads(content))


async def last_outcome(storage: StorageDriver) -> State | None:
    """Return the outcome of the last check that came to its end; None: there is none that this version can read.

    Raises:
        StorageUnavailable: it cannot be read.
    """
    try:
        return state_of(await storage.get(paths.CHECKED))
    except (PathUnknown, ValueError):
        return None


async def known_checks(storage: StorageDriver) -> KnownChecks:
    """Return what storage tells of checks; what another version wrote counts as nothing.

    Raises:
        StorageUnavailable: it cannot be read.
    """
    last = await last_outcome(storage)
    try:
        begun = state_of(await storage.get(paths.CHECK))
    except (PathUnknown, ValueError):
        begun = None
    return KnownChecks(last=last, begun=begun)


async def unfinished(storage: StorageDriver) -> State | None:
    """Return the state of the check that was not finished; None: there is none.

    Raises:
        StorageUnavailable: it cannot be read.
    """
    try:
        return state_of(await storage.get(paths.CHECK))
    except PathUnknown:
        return None
    except ValueError as exc:
        msg = f"{paths.CHECK} was not written by this version; start without --resume"
        raise StorageUnavailable(msg) from exc


def new_state(*, store: str, verifies: bool, repairs: bool = False) -> State:
    """The beginning of a check."""
    return State(store=store, verifies=verifies, repairs=repairs, started_at=datetime.now(UTC))


def report_of(state: State, path: Path) -> CheckReport:
    """The report file of a check that begins or goes on, with all that was found so far.

    Raises:
        ReportIncomplete: not all of that is known. The file stays as it is.
        OSError: it cannot be written.
    """
    if state.report is not None:
        return CheckReport(path, state.report)
    number, first = sum(count.number for count in state.tally.differences.values()), state.tally.noted.first
    if number > len(first):
        msg = (
            f"the unfinished check has found {number:,} differences and was left without a report, so that only the "
            f"first {len(first):,} are known; begin anew, without --resume, or go on without --report"
        )
        raise ReportIncomplete(msg)
    report = CheckReport(path, _NOTHING)
    for finding in first:
        report.write(finding)
    return report


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


def _hashed(path: Path, size_bytes: int) -> Hasher:
    """The first *size_bytes* of a file, or as many as there are."""
    hasher = Hasher("sha256")
    if size_bytes:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            while piece := file.read(min(size_bytes - hasher.size_bytes, _PIECE_BYTES)):
                hasher.update(piece)
    return hasher
