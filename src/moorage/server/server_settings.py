"""Settings of a server, whatever it serves."""

from dataclasses import dataclass
from datetime import timedelta

from moorage.server.address import ListenAddress
from moorage.server.tls.tls_contexts import ServerTLS
from moorage.telemetry import LogSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Addresses, processes, and how they end."""

    address: ListenAddress
    log: LogSettings
    drain_time: timedelta
    """The time that requests in flight get at the end."""
    finish_time: timedelta = timedelta(0)
    """The time that a process gets after its last request, for what it still has to send."""
    collect_every: int = 50_000
    """Objects that may be made before cycles among the new ones are looked for: memory against time. A request of the
    registry makes some hundred and hardly a cycle, so that looking for them every 700 would cost a good part of it."""
    count: int = 1
    """Number of the processes that serve."""
    has_keeper: bool = False
    """True if a process of its own does the chores, so that no request waits for them; else the first worker does."""
    has_metrics: bool = False
    """True if what the processes count can be asked for."""
    debug_address: ListenAddress | None = None
    tls: ServerTLS | None = None
    """HTTPS of the main address, read before the workers are forked; None for plain HTTP."""
    debug_tls: ServerTLS | None = None
    """The same for the debug address."""
