"""The state of a registry for administrators: each part with since when, why, and what to do. See ADR 132.

Health is for load balancers: it says whether to send requests here. This says besides what works and wants somebody.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from moorage.api.state_answers import PartState
from moorage.errors import BackendError
from moorage.health.questions import Question

MetadataPlace = Literal["database", "link files"]
_FRESH_S = 2.0
_DEADLINE_S = 5.0
_WORST: Sequence[PartState] = ("broken", "look", "good", "off")
_SEE_THE_LOG = "see the registry's log"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFound:
    """The state of one part at one moment."""

    state: PartState = "good"
    said: str = ""
    """More about it, or why it is not good."""
    next_step: str = ""
    """Something to do; empty: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPart:
    """A part that can be asked."""

    name: str
    kind: str
    ask: Callable[[], Awaitable[PartFound]]
    """Asks it; what it raises says that it is broken."""
    next_step: str = _SEE_THE_LOG
    """Something to do if it does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSeen:
    """A part, and since when it is as it is."""

    part: StatusPart
    found: PartFound
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFound:
    """The state of a registry at one moment."""

    node: str
    started_at: datetime
    metadata: MetadataPlace
    is_read_only: bool
    parts: Sequence[PartSeen]
    nodes: Mapping[str, int] = field(default_factory=dict)
    """The nodes that have said on the storage that they take pushes, with the number of their processes."""

    @property
    def state(self) -> PartState:
        """The worst of the parts."""
        states = {seen.found.state for seen in self.parts}
        return next((state for state in _WORST if state in states), "good")


class NodeStatus:
    """Asks all parts at once, each with a deadline; an answer stands for two seconds."""

    def __init__(
        self,
        parts: Sequence[StatusPart],
        *,
        metadata: MetadataPlace,
        nodes: Callable[[], Awaitable[Mapping[str, int]]],
        is_read_only: bool = False,
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        """*nodes*: asks which nodes are at work."""
        self._asked = [_AskedPart(part) for part in parts]
        self._nodes = _AskedNodes(nodes)
        self._metadata: MetadataPlace = metadata
        self._is_read_only = is_read_only
        self._deadline_s = deadline_s
        self._started_at = datetime.now(UTC)
        self._lock = asyncio.Lock()
        self._looked_at = float("-inf")
        self._found: StatusFound | None = None

    async def ask(self) -> StatusFound:
        """Return the state of the registry."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if self._found is None or loop.time() - self._looked_at > _FRESH_S:
                self._found = await self._look()
                self._looked_at = loop.time()
            return self._found

    async def _look(self) -> StatusFound:
        nodes = asyncio.ensure_future(self._nodes.look(self._deadline_s))
        parts = await asyncio.gather(*(asked.look(self._deadline_s) for asked in self._asked))
        return StatusFound(
            node=socket.gethostname(),
            started_at=self._started_at,
            metadata=self._metadata,
            is_read_only=self._is_read_only,
            parts=parts,
            nodes=await nodes,
        )


class _AskedPart:
    """A part with what was seen of it: the process that answers remembers since when."""

    def __init__(self, part: StatusPart) -> None:
        self._part = part
        self._question = Question(self._ask)
        self._answer = PartFound()
        self._seen: PartSeen | None = None

    async def look(self, deadline_s: float) -> PartSeen:
        try:
            await self._question.put(deadline_s)
            found = self._answer
        except (BackendError, OSError, TimeoutError) as exc:
            found = PartFound(state="broken", said=str(exc) or type(exc).__name__, next_step=self._part.next_step)
        before = self._seen
        is_same = before is not None and before.found.state == found.state
        since = before.since if before is not None and is_same else datetime.now(UTC)
        self._seen = PartSeen(part=self._part, found=found, since=since)
        return self._seen

    async def _ask(self) -> None:
        self._answer = await self._part.ask()


class _AskedNodes:
    def __init__(self, ask: Callable[[], Awaitable[Mapping[str, int]]]) -> None:
        self._ask_nodes = ask
        self._question = Question(self._ask)
        self._answer: Mapping[str, int] = {}

    async def look(self, deadline_s: float) -> Mapping[str, int]:
        try:
            await self._question.put(deadline_s)
        except (BackendError, OSError, TimeoutError):
            return {}  # Storage is a part, and says why.
        return self._answer

    async def _ask(self) -> None:
        self._answer = await self._ask_nodes()
