"""Interface between a server and what it serves: the registry, the token server, or whatever comes next."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from moorage.web.beside import Handler

KEEPER = -1
"""The number of the process that serves nothing and does what only one process of a node has to do."""

Chore = Callable[[], Coroutine[None, None, None]]
"""Work that one process of a node does for as long as it lives; at the end it is cancelled."""

Upkeep = Callable[[], Coroutine[None, None, None]]
"""Work that every process that serves does beside it for as long as it lives; at the end it is cancelled."""

Flush = Callable[[], Awaitable[None]]
"""Writes that every process does from time to time, and once more at the end."""

OnDuty = Callable[[Callable[[], None]], AbstractAsyncContextManager[None]]
"""Makes what is held from before the first request to after the last; its argument ends the process at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProcess:
    """The place of one process among those of a node."""

    number: int
    """From 0; or :data:`KEEPER`."""
    metrics: Path | None = None
    """The folder in which the node's processes count; None: metrics are off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Everything that a process runs. Where and how long it runs is the server's business."""

    handler: Handler
    """Answers what comes to the main address."""
    debug: Handler | None = None
    """Answers what comes to the debug address; None: nothing is asked there."""
    chores: Sequence[Chore] = ()
    upkeep: Sequence[Upkeep] = ()
    flushes: Sequence[Flush] = ()
    on_duty: OnDuty | None = None
    """Shows others that this process serves; None: nobody need know."""
    on_drain: Callable[[], None] | None = None
    """Told when no new connections are taken any more, while the debug address still answers."""
    close: Callable[[], Awaitable[None]]
    """Lets go of everything; called last, after the last flush."""


MakeApplication = Callable[[ServerProcess], Awaitable[Application]]
"""Makes the application of one process, in that process, once it has its event loop.

Raises:
    ConfigurationError, BackendError: it cannot start. That ends the start of a server; later it is tried again.
"""
