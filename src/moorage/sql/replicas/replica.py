"""One replica: how far it is, and whether reads may go there."""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from moorage.errors import BackendError, DatabaseUnavailable
from moorage.sql.base import Database, Row, asked
from moorage.sql.members import DatabaseServer, ServerState
from moorage.sql.queries import load_queries
from moorage.sql.replicas.replica_bench import lags
from moorage.sql.replicas.replica_discovery import ReplicaAddress
from moorage.sql.replicas.replica_positions import Position
from moorage.telemetry import get_log

Connect = Callable[[ReplicaAddress], Awaitable[Database]]
"""Opens the database of a replica. The server need not be up."""

BELIEVED_S = 0.25
"""Seconds for which an answer on a replica's position counts. It only grows, unless the server there changes."""

_QUERIES = load_queries("moorage.sql.replicas", "replicas")
_log = get_log("sql.replicas")


_NEW = "it was not compared with the primary yet"


class PrimaryState(NamedTuple):
    """The primary's state, as it says itself."""

    position: Position
    system: int
    """The cluster that it is: given by initdb, the same on every standby."""


class Replica:
    """A standby, as one process sees it. Nothing goes there before :meth:`judge` has found it good."""

    def __init__(self, address: ReplicaAddress, database: Database) -> None:
        self.address = address
        self.database = database
        self.refusal: str | None = _NEW
        """The reason to send no read there, whatever is to be read; None: reads may go there."""
        self.is_suspect = False
        """Something failed there: nothing goes there until it has answered again."""
        self.probed_at = -math.inf
        self._state: Row = ()
        self._replayed = -1
        self._asked_at = -math.inf
        self._question: asyncio.Task[None] | None = None
        self._clock = asyncio.get_running_loop().time

    @property
    def is_usable(self) -> bool:
        """True if reads may go there at all."""
        return self.refusal is None and not self.is_suspect

    def has(self, lsn: int) -> bool:
        """Return whether it is known to have replayed the log up to *lsn*."""
        return self._replayed >= lsn and self._clock() <= self._asked_at + BELIEVED_S

    async def ask(self, lsn: int, *, limit_s: float) -> bool:
        """Return whether it has replayed the log up to *lsn*. Callers that ask at the same time share one question.

        Raises:
            DatabaseUnavailable: it did not answer within *limit_s* seconds.
        """
        if self.has(lsn):
            return True
        if self._question is None or self._question.done():
            # A task of its own: giving up a statement on a server that hangs takes longer than a reader may wait.
            self._question = asyncio.get_running_loop().create_task(self._ask())
        answered_before = self._asked_at
        await asyncio.wait({self._question}, timeout=limit_s)
        if self._asked_at == answered_before:
            msg = f"the replica {self.address} did not say how far it is"
            raise DatabaseUnavailable(msg)
        return self.is_usable and self.has(lsn)

    async def server(self, *, limit_s: float) -> DatabaseServer:
        """Return how it is, asked now."""
        found = await asked(self.database, str(self.address), limit_s=limit_s, is_primary=False)
        return found if found.fault or self.refusal is None else replace(self.known(), asked_at=found.asked_at)

    def known(self) -> DatabaseServer:
        """Return how it is, as far as that is known without asking."""
        state: ServerState = "online"
        if self.refusal is not None:
            state = "unknown" if self.refusal == _NEW else "quarantined"
        elif self.is_suspect:
            state = "unreachable"
        return DatabaseServer(address=str(self.address), is_primary=False, state=state, fault=self.refusal or "")

    def suspect(self) -> None:
        """Send nothing there until it has answered; what it said is forgotten."""
        self.is_suspect = True
        self._replayed = -1

    async def measure(self) -> None:
        """Ask for all that :meth:`judge` needs.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        asked_at = self._clock()
        self._state = await self.database.first(_QUERIES["replica_state"]) or (None, None, None, None)
        self._note(self._state[0], asked_at)

    def judge(self, primary: PrimaryState) -> None:
        """Compare what :meth:`measure` found with what the primary said afterwards."""
        refusal = self._objection(primary)
        if refusal != self.refusal:
            if refusal is None:
                _log.info("reads go to a replica", replica=str(self.address))
            else:
                _log.warning("no reads go to a replica", replica=str(self.address), reason=refusal)
        self.refusal = refusal
        if refusal is None:
            self.is_suspect = False

    def lag(self, primary: PrimaryState) -> tuple[float, int]:
        """Return how far it was behind *primary* when it was measured, in seconds and in bytes."""
        replayed, _received, lag_s, _system = self._state
        return lag_s or 0.0, max(0, primary.position.lsn - (replayed or 0))

    async def close(self) -> None:
        """Let go of every connection; what still runs there has its time to end."""
        if self._question is not None and not self._question.done():
            self._question.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._question
        await self.database.close()

    def _objection(self, primary: PrimaryState) -> str | None:
        replayed, received, lag_s, system = self._state
        if replayed is None:
            return "it is no standby"
        if system != primary.system:
            return "it belongs to another database cluster"
        if received is not None and received > primary.position.lsn:
            # Left behind by a failover: it has what the new primary never had.
            return "it is ahead of the primary"
        if lags(lag_s or 0.0, primary.position.lsn - replayed):
            return "it lags too far behind"
        return None

    async def _ask(self) -> None:
        asked_at = self._clock()
        try:
            row = await self.database.first(_QUERIES["replica_position"])
        except BackendError as exc:
            _log.debug("a replica did not say how far it is", replica=str(self.address), error=str(exc))
            return
        self._note(None if row is None else row[0], asked_at)

    def _note(self, replayed: int | None, asked_at: float) -> None:
        if asked_at < self._asked_at:
            return  # A question that was asked later has been answered already.
        self._asked_at = asked_at
        self._replayed = -1 if replayed is None else replayed
        if replayed is None and self.refusal is None:
            self.refusal = "it is no standby any more"
            _log.warning("no reads go to a replica", replica=str(self.address), reason=self.refusal)


async def primary_position(primary: Database) -> Position:
    """Return how far the primary is now.

    Raises:
        DatabaseUnavailable: it does not answer, or is no primary.
    """
    row = await primary.first(_QUERIES["primary_position"])
    return _position(row)


async def primary_state(primary: Database) -> PrimaryState:
    """Return how far the primary is now, and which cluster it is.

    Raises:
        DatabaseUnavailable: it does not answer, or is no primary.
    """
    row = await primary.first(_QUERIES["primary_state"])
    return PrimaryState(_position(row), row[2] if row else 0)


def _position(row: Row | None) -> Position:
    if row is None or row[0] is None:
        msg = "the primary is a standby now"
        raise DatabaseUnavailable(msg)
    return Position(row[0], row[1])
